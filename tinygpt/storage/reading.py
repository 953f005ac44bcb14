"""Reading files that may be damaged, or written by somebody who means harm.

    values = read_json(path, {"step": COUNT, "files": {str: {"bytes": COUNT, "sha256": TEXT}}})

Whoever reads JSON of a run reads it here: a regular file of bounded size, UTF-8, every name once,
no NaN, no depth that ends the parser, and of the form that is asked for, so that what comes back
needs no second look. A form is written as the value is:

    COUNT, NUMBER, TEXT ...     a Kind
    [form]                      a list of any length
    (form, form)                a list of that many
    {"a": form, "b?": form}     an object with at least these names, b perhaps missing
    {str: form}                 an object of any names; after named ones, all the others

`signed` and `check_signature` give an object a checksum of its own as its last entry.

Read next: safetensors.py, ../runs/metrics.py.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

LONGEST_JSON = 1 << 26  # bytes of a file that is parsed whole; the longest tokenizers have half
LONGEST_LINE = 1 << 24  # bytes; a file with a longer one is no log of lines
LARGEST = 1e39  # no float32 is larger, and sums and squares of such numbers stay finite


class FormatError(ValueError):
    """What is wrong with a file, in words that go after its name."""


class Kind(NamedTuple):
    """A plain value.  words: what it is called; holds: whether a value is one."""

    words: str
    holds: Callable[[Any], bool]


ANYTHING = Kind("anything", lambda value: True)
TEXT = Kind("text", lambda value: type(value) is str)
COUNT = Kind("a whole number from 0", lambda value: type(value) is int and 0 <= value < 1 << 63)
NUMBER = Kind(
    "a finite number", lambda value: type(value) in (int, float) and abs(value) < LARGEST
)
RANDOM_WORD = Kind(
    "a number of 128 bits", lambda value: type(value) is int and 0 <= value < 1 << 128
)
HALF_WORD = Kind("a number of 32 bits", lambda value: type(value) is int and 0 <= value < 1 << 32)


def one_of(*values: Any) -> Kind:
    """The Kind of these values, none of them a list or an object."""
    named = {(type(value), value) for value in values}
    words = " or ".join(map(repr, values))
    simple = (str, int, float, bool, type(None))
    return Kind(words, lambda value: type(value) in simple and (type(value), value) in named)


def optional(kind: Kind) -> Kind:
    """The Kind of null and of what is of `kind`."""
    return Kind(f"{kind.words} or null", lambda value: value is None or kind.holds(value))


RANDOM_STATE = {  # of numpy.random.Generator, the state of its bit generator
    "bit_generator": one_of("PCG64"), "state": {"state": RANDOM_WORD, "inc": RANDOM_WORD},
    "has_uint32": one_of(0, 1), "uinteger": HALF_WORD,
}


def check(value: Any, form: Any) -> Any:
    """`value`, if it is of a form.  Raises FormatError that names the place and what is there."""
    where, wrong = _problem(value, form)
    if wrong:
        where = where.lstrip(".")
        raise FormatError(f"has {where} that {wrong}" if where else wrong)
    return value


def _problem(value: Any, form: Any) -> tuple[str, str]:
    """(place, what is wrong there), ("", "") for a value that is of the form."""
    if isinstance(form, Kind):
        return ("", "") if form.holds(value) else ("", f"is {brief(value)}, not {form.words}")
    if isinstance(form, dict):
        return _problem_of_object(value, form)
    if not isinstance(value, list):
        return "", f"is {brief(value)}, not a list"
    if isinstance(form, tuple) and len(form) != len(value):
        return "", f"has {len(value)} entries, not {len(form)}"
    forms = form if isinstance(form, tuple) else form * len(value)
    for i, (item, wanted) in enumerate(zip(value, forms, strict=True)):
        where, wrong = _problem(item, wanted)
        if wrong:
            return f"[{i}]{where}", wrong
    return "", ""


def _problem_of_object(value: Any, form: dict[Any, Any]) -> tuple[str, str]:
    if not isinstance(value, dict):
        return "", f"is {brief(value)}, not an object"
    missing = [k for k in form if k is not str and not k.endswith("?") and k not in value]
    if missing:
        return "", f"has no {missing[0]}"
    for name, item in value.items():
        wanted = form.get(name) or form.get(f"{name}?") or form.get(str, ANYTHING)
        where, wrong = _problem(item, wanted)
        if wrong:
            return f"{'.' + name if name.isidentifier() else f'[{brief(name)}]'}{where}", wrong
    return "", ""


def brief(value: Any) -> str:
    """A value in an error: short, and on one line."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "an object"
    text = ascii(value) if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def open_regular(path: Path) -> BinaryIO:
    """A file opened for reading: no folder, no pipe or device that would never end.

    Raises OSError, or FormatError for what is no regular file.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        raise FormatError("is no regular file")
    return open(path, "rb")


def read_bytes(path: Path, limit: int = LONGEST_JSON) -> bytes:
    """All of a file.  Raises FormatError for one that cannot be read or is longer than `limit`."""
    try:
        with open_regular(path) as file:
            if file.seek(0, os.SEEK_END) > limit:
                raise FormatError(f"is longer than {limit} bytes, too long for such a file")
            file.seek(0)
            return file.read(limit)
    except OSError as error:
        raise FormatError(f"cannot be read ({error.strerror or error})") from error


def check_file(
    path: Path, size: int, sha256: str | None, look: Callable[[bytes], object] | None = None
) -> None:
    """Read every byte of a file and compare it with what was noted when it was written.

    sha256: None where nothing was noted.  look: is shown each block of up to 1 MiB.
    Raises FormatError for another size or content, or what cannot be read.
    """
    digest, seen = hashlib.sha256(), 0
    try:
        with open_regular(path) as file:
            there = file.seek(0, os.SEEK_END)
            if there != size:
                raise FormatError(f"has {there} bytes instead of {size}")
            file.seek(0)
            while block := file.read(1 << 20):
                digest.update(block)
                seen += len(block)
                if look is not None:
                    look(block)
    except OSError as error:
        raise FormatError(f"cannot be read ({error.strerror or error})") from error
    if seen != size or sha256 not in (None, digest.hexdigest()):
        raise FormatError("was altered after it was written (its checksum is another)")


def parse_json(content: bytes | str, form: Any = ANYTHING) -> Any:
    """The value of a JSON text, of a form.  Raises FormatError."""
    try:
        text = content if isinstance(content, str) else content.decode()
        value = json.loads(text, object_pairs_hook=_object, parse_constant=_no_number)
    except RecursionError as error:
        raise FormatError("is nested too deeply") from error
    except FormatError:
        raise
    except ValueError as error:  # not UTF-8 and not JSON both arrive here
        raise FormatError(f"is not JSON ({error})") from error
    return check(value, form)


def parse_toml(text: str, form: Any = ANYTHING) -> Any:
    """The value of a TOML text, of a form.  Raises FormatError."""
    try:
        value = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # digits without end, depth without end
        raise FormatError(f"is not valid TOML ({error})") from error
    return check(value, form)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise FormatError(f"has {brief(twice)} twice")
    return made


def _no_number(word: str) -> None:
    raise FormatError(f"has {word}, which is not JSON")


def read_json(path: Path, form: Any = ANYTHING, limit: int = LONGEST_JSON) -> Any:
    """The value of a JSON file, of a form.  Raises FormatError."""
    return parse_json(read_bytes(path, limit), form)


def read_lines(path: Path, form: Any, warn: Callable[[str], object]) -> Iterator[Any]:
    """The values of a file of one JSON text a line, oldest first; none where there is no file.

    A line that is no JSON or of another form is left out; so is half a line at the end, which a
    killed process leaves.
    warn: told once, at the end, how many lines in the middle were left out and why the first was.
    Raises FormatError for a file that cannot be read or has a line longer than any log's.
    """
    damaged, first = 0, ""
    try:
        with open_regular(path) as file:
            number = 0
            while line := file.readline(LONGEST_LINE):
                number += 1
                if len(line) == LONGEST_LINE:
                    raise FormatError(f"has more than {LONGEST_LINE} bytes in line {number}")
                try:
                    values = parse_json(line, form)
                except FormatError as error:
                    if line.endswith(b"\n"):
                        damaged += 1
                        first = first or f"line {number} {error}"
                    continue
                yield values
    except FileNotFoundError:
        return
    except OSError as error:
        raise FormatError(f"cannot be read ({error.strerror or error})") from error
    if damaged:
        warn(f"{path}: {damaged} of {number} lines are damaged and left out ({first})")


def signed(body: dict[str, Any]) -> dict[str, Any]:
    """`body` and, as its last entry, "sha256": of `body` as JSON."""
    return {**body, "sha256": hashlib.sha256(json.dumps(body).encode()).hexdigest()}


def check_signature(values: dict[str, Any]) -> dict[str, Any]:
    """What `signed` was given.  Raises FormatError if it was altered since.

    An object without "sha256" passes as it is: files of earlier versions have none.
    """
    body = {name: value for name, value in values.items() if name != "sha256"}
    if len(body) < len(values) and signed(body)["sha256"] != values["sha256"]:
        raise FormatError("was altered after it was written (its checksum is another)")
    return body
