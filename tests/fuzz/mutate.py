"""Damage: what disks, editors and people who mean harm do to a file.

A mutation is a function of a file's bytes and a random.Random. The blind ones take any bytes; the
structured ones parse first, so that what they break is the meaning and not the syntax. `resign`
afterwards writes the right checksums, as somebody who means harm would.

Read next: subjects.py.
"""

from __future__ import annotations

import copy
import hashlib
import json
import random
from collections.abc import Callable
from typing import Any

Mutation = Callable[[bytes, random.Random], bytes]

# --- any bytes ----------------------------------------------------------------------------------


def flip_bits(data: bytes, chance: random.Random) -> bytes:
    out = bytearray(data or b"\0")
    for _ in range(chance.choice((1, 1, 2, 8, 64))):
        out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
    return bytes(out)


def overwrite(data: bytes, chance: random.Random) -> bytes:
    size = min(len(data), chance.choice((1, 4, 64, 4096)))
    at = chance.randrange(len(data) - size + 1)
    filling = chance.choice((b"\0" * size, b"\xff" * size, chance.randbytes(size)))
    return data[:at] + filling + data[at + size :]


def truncate(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.choice((0, 1, 8, len(data) - 1, chance.randrange(len(data) + 1)))]


def splice(data: bytes, chance: random.Random) -> bytes:
    """Cut a piece out, or put one in, from elsewhere in the file or from nowhere."""
    a, b = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    at = chance.randrange(len(data) + 1)
    random_piece = chance.randbytes(chance.randrange(1, 200))
    piece = chance.choice((data[a:b], random_piece, b"\n", b'"', b"{"))
    return chance.choice((data[:a] + data[b:], data[:at] + piece + data[at:], data + piece))


def recode(data: bytes, chance: random.Random) -> bytes:
    """What editors and transfers do: line ends, byte order marks, other encodings, bad UTF-8."""
    at = chance.randrange(len(data) + 1)
    text = data.decode("latin-1")
    return chance.choice((
        data.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + data, text.encode("utf-16"),
        data[:at] + b"\xff\xfe\xc3" + data[at:], data[:at] + b"\0" + data[at:], text.encode(),
    ))


BLIND: tuple[Mutation, ...] = (flip_bits, overwrite, truncate, splice, recode)

# --- JSON ---------------------------------------------------------------------------------------

# Words that json.dumps would not write, in the place of strings that stand for them.
RAW = {
    "@nan": "NaN", "@inf": "-Infinity", "@huge": "1" + "0" * 400, "@digits": "9" * 5000,
    "@float": "1e999", "@deep": "[" * 100_000 + "]" * 100_000,
    "@nest": '{"a":' * 3000 + "1" + "}" * 3000, "@surrogate": r'"\ud800"',
    "@bytes": r'"\u0000\u001b[31m\u202e"',
}
VALUES: tuple[Any, ...] = (
    *RAW, None, True, False, 0, 1, -1, 2, 7, 255, 256, 65536, 20_000, 2**31 - 1, 2**31, 2**32,
    2**53, 2**63 - 1, 2**63, 2**64, -(2**63), 10**30, 0.0, 0.5, -0.5, 1e-300, 1e38, 1e300, -1e300,
    "", "a", "-1", "x" * 100_000, "../../../outside", "/etc/passwd", "..",
    [], [[]], [0], [None], {}, {"a": 1}, {"": {}},
)


def nodes(value: Any) -> list[tuple[Any, Any]]:
    """(container, key) of everything in a value."""
    found: list[tuple[Any, Any]] = []
    waiting = [value]
    while waiting:
        here = waiting.pop()
        keys = here if isinstance(here, dict) else range(len(here))
        for key in keys:
            found.append((here, key))
            if isinstance(here[key], dict | list):
                waiting.append(here[key])
    return found


def _any(chance: random.Random) -> Any:
    return copy.deepcopy(chance.choice(VALUES))  # a list of its own: it may be changed further


def change_value(value: Any, chance: random.Random) -> Any:
    """A JSON value with one to three places changed; `value` is changed in place."""
    if not isinstance(value, dict | list) or chance.random() < 0.02:
        return _any(chance)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        places = nodes(value)
        if not places:
            return _any(chance)
        box, key = chance.choice(places)
        other_box, other = chance.choice(places)
        what = chance.randrange(8)
        if what == 0:
            del box[key]
        elif what == 1:
            box[key] = copy.deepcopy(other_box[other])  # not itself: it may hold `box`
        elif what == 2 and isinstance(box, dict):
            box[chance.choice((f"{key}x", "", "sha256", "event", str(other)))] = box[key]
        elif what == 3 and isinstance(box, list):
            box.extend(copy.deepcopy(box[key:]) * chance.choice((1, 1, 50)))
        elif what == 4 and type(box[key]) in (int, float):
            x = box[key]
            box[key] = chance.choice((-x, x + 1, x * 2, x // 2, 1 + x * 1000))
        else:
            box[key] = _any(chance)
        if len(places) > 50_000:
            break
    return value


def dump(value: Any, chance: random.Random, indent: int | None = None) -> str:
    """JSON text with the words of RAW, now and then with a name twice."""
    text = json.dumps(value, indent=indent)
    for name, raw in RAW.items():
        text = text.replace(json.dumps(name), raw)
    if chance.random() < 0.05 and text.startswith("{"):
        first = text[1:].split(",", 1)[0].rstrip("}")
        text = "{" + first + "," + text[1:]
    return text


def json_values(data: bytes, chance: random.Random) -> bytes:
    return dump(change_value(json.loads(data), chance), chance, 1).encode()


def json_lines(data: bytes, chance: random.Random) -> bytes:
    """One to five lines changed, dropped, doubled, moved or cut."""
    lines = data.splitlines()
    for _ in range(chance.choice((1, 1, 2, 5))):
        if not lines:
            break
        at = chance.randrange(len(lines))
        what = chance.randrange(7)
        if what == 0:
            del lines[at]
        elif what == 1:
            lines.insert(chance.randrange(len(lines) + 1), lines[at])
        elif what == 2:
            lines[at] = chance.choice(BLIND)(lines[at] or b"x", chance)
        elif what == 3:
            lines[at] = lines[at][: chance.randrange(len(lines[at]) + 1)]
        else:
            try:
                lines[at] = dump(change_value(json.loads(lines[at]), chance), chance).encode()
            except (ValueError, RecursionError):  # changed before, and no JSON any more
                continue
    return b"\n".join(lines) + chance.choice((b"\n", b""))


# --- safetensors --------------------------------------------------------------------------------


def take_apart(data: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def put_together(header: Any, arrays: bytes, chance: random.Random, pad: int = 64) -> bytes:
    text = (header if isinstance(header, str) else dump(header, chance)).encode()
    text += b" " * (-(8 + len(text)) % pad)
    return len(text).to_bytes(8, "little") + text + arrays


def tensors_header(data: bytes, chance: random.Random) -> bytes:
    """Another header for the same arrays."""
    header, arrays = take_apart(data)
    return put_together(change_value(header, chance), arrays, chance, chance.choice((1, 8, 64)))


def tensors_metadata(data: bytes, chance: random.Random) -> bytes:
    """JSON inside the JSON: a quantized file's shape, matrices or tokenizer."""
    header, arrays = take_apart(data)
    texts = header.get("__metadata__")
    if not texts:
        return tensors_header(data, chance)
    name = chance.choice(sorted(texts))
    try:
        texts[name] = dump(change_value(json.loads(texts[name]), chance), chance)
    except ValueError:
        texts[name] = chance.choice(("", "2", "x", "{}", "[]"))
    return put_together(json.dumps(header), arrays, chance)


SAME_SIZE = {"F32": "I32", "I32": "F32", "I8": "U8", "U8": "I8", "BF16": "F16", "I64": "F64"}


def tensors_arrays(data: bytes, chance: random.Random) -> bytes:
    """Arrays cut, grown, exchanged, turned round or of another type; offsets and sizes agree."""
    header, arrays = take_apart(data)
    metadata = header.pop("__metadata__", None)
    parts = {name: arrays[slice(*entry["data_offsets"])] for name, entry in header.items()}
    for _ in range(chance.choice((1, 1, 2))):
        if header:
            _change_array(header, parts, chance)
    at, laid = 0, {} if metadata is None else {"__metadata__": metadata}
    for name, entry in header.items():
        laid[name] = {**entry, "data_offsets": [at, at + len(parts[name])]}
        at += len(parts[name])
    return put_together(laid, b"".join(parts[name] for name in header), chance)


def _change_array(header: dict[str, Any], parts: dict[str, bytes], chance: random.Random) -> None:
    names = sorted(header)
    name, other = chance.choice(names), chance.choice(names)
    entry, part, what = header[name], parts[name], chance.randrange(6)
    shape = entry["shape"]
    if what == 0 and shape:  # another size along one axis
        axis = chance.randrange(len(shape))
        old = shape[axis]
        shape[axis] = chance.choice((0, 1, old // 2, max(0, old - 1), old * 2))
        size = len(part) // max(1, old) * shape[axis]
        parts[name] = (part * 2)[:size].ljust(size, b"\0")
    elif what == 1:
        header[name], header[other] = header[other], header[name]
        parts[name], parts[other] = parts[other], parts[name]
    elif what == 2:
        shape.reverse()
    elif what == 3:
        entry["dtype"] = SAME_SIZE.get(entry["dtype"], "U8")
    elif what == 4 and part:
        parts[name] = chance.choice((flip_bits, overwrite))(part, chance)
    else:
        del header[name], parts[name]


def resign_tensors(data: bytes) -> bytes:
    """A quantized file with the right checksum, if it still has the parts that one is made of."""
    try:
        header, arrays = take_apart(data)
        texts = header["__metadata__"]
        rest = {key: value for key, value in texts.items() if key != "sha256"}
        entries = {key: value for key, value in header.items() if key != "__metadata__"}
        digest = hashlib.sha256(json.dumps([rest, entries], sort_keys=True).encode())
        for entry in entries.values():
            digest.update(arrays[slice(*entry["data_offsets"])])
        texts["sha256"] = digest.hexdigest()
        return put_together(json.dumps(header), arrays, random.Random(0))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return data


# --- checksums in JSON --------------------------------------------------------------------------


def resign_json(data: bytes, indent: int | None = 1) -> bytes:
    """An object whose "sha256" is of the rest, as tinygpt writes it; others as they are."""
    try:
        value = json.loads(data)
        body = {key: item for key, item in value.items() if key != "sha256"}
        if len(body) == len(value):
            return data
        digest = hashlib.sha256(json.dumps(body).encode()).hexdigest()
        return json.dumps({**body, "sha256": digest}, indent=indent).encode()
    except (ValueError, AttributeError, RecursionError):
        return data
