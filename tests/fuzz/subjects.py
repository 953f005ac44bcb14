"""What is damaged, and who reads it: every kind of file, every command.

A World is a folder with small whole ones of everything, made once. A Subject names one file in it,
how it may be damaged, and the commands that read it.

Read first: mutate.py. Read next: runner.py.
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.fuzz import mutate, mutate_gguf
from tests.fuzz.mutate import Mutation
from tests.tinygpt.exchange.models import copied, made
from tests.tinygpt.tokenizer import models
from tinygpt.exchange import gguf_models
from tinygpt.tokenizer import sentencepiece_files
from tinygpt.tokenizer.protobuf import fields

WORDS = "the a cat dog sat ran on under mat tree and then it saw an old red hat by night".split()
NEWEST, STEPS = "checkpoints/step-00000012", 12
TINY = {
    "model.n_layers": 2, "model.n_heads": 2, "model.d_model": 16, "model.context": 16,
    "training.steps": STEPS, "training.batch_size": 4, "training.eval_every": 6,
    "training.eval_tokens": 300, "training.sample_every": 6, "training.checkpoint_every": 6,
    "data.split": "[0.8,0.2,0.0]", "data.by_position": "true",
}


@dataclass(frozen=True)
class Subject:
    """A kind of file.

    name: of the row in the table.  path: inside the World.  unit: the part of the World that a
    case copies.  commands: names in COMMANDS.  structured: mutations beside the blind ones.
    exact: whether a reader that says nothing must have read what was there before.
    stream: whether it may be a pipe or endless, and is then read as long as it lasts.
    resign: (folder of the unit, path) -> None, writes the right checksums.
    """

    name: str
    path: str
    unit: str
    commands: tuple[str, ...]
    structured: tuple[Mutation, ...] = ()
    exact: bool = False
    resign: Callable[[Path, Path], None] | None = None
    stream: bool = False


def make_world(folder: Path, call: Callable[[list[str]], int]) -> None:
    """Train, quantize and export once, everything tiny.  call: runs a command, returns its code."""
    chance = random.Random(0)
    lines = [" ".join(chance.choices(WORDS, k=chance.randrange(3, 9))) for _ in range(500)]
    text = folder / "text.txt"
    text.write_text(".\n".join(lines), encoding="utf-8")

    def done(*arguments: str | Path) -> None:
        code = call([str(argument) for argument in arguments])
        if code:
            raise RuntimeError(f"tinygpt {' '.join(map(str, arguments))} ended with {code}")

    settings = [part for key, value in TINY.items() for part in ("--set", f"{key}={value}")]
    done("train", "--data", text, *settings, "--out", folder / "char")
    bpe = ("--set", "tokenizer.kind=bpe", "--set", "tokenizer.vocab_size=300")
    done("train", "--data", text, *settings, *bpe, "--out", folder / "bpe")
    shutil.copytree(folder / "char", folder / "old")
    for name in ("config.json", "tokens/manifest.json"):
        _strip_checksums(folder / "old" / name)
    for scheme in ("int8", "int4", "nf4"):
        done("quantize", folder / "bpe", "--to", scheme, "--out", folder / f"{scheme}.tgpt",
             "--eval-tokens", 100)
    shutil.copy(folder / "bpe/tokenizer.json", folder / "ours.json")
    shutil.copy(folder / "char/tokenizer.json", folder / "char.json")
    done("tokenizer", "convert", folder / "ours.json", folder / "hf.json")
    done("tokenizer", "convert", folder / "ours.json", folder / "ranks.tiktoken",
         "--format", "tiktoken")
    done("export", folder / "bpe", "--to", "hf", "--out", folder / "hf")
    _make_shards(folder / "hf")
    for kind in ("F32", "Q4_0"):
        done("export", folder / "bpe", "--to", "gguf", "--out", folder / f"{kind}.gguf",
             "--kind", kind)
    _make_adapters(folder, done)
    done("tokenizer", "train", text, "--kind", "unigram", "--vocab-size", 300,
         "--out", folder / "unigram.json")
    (folder / "spm.model").write_bytes(
        models.model(models.ROWS + models.BYTES, trainer=[(35, 1)],
                     normalizer=[(2, models.charsmap({"\t": " ", "e\u0301": "é"}))])
    )
    done("tokenizer", "convert", folder / "spm.model", folder / "spm.json", "--format", "tinygpt")
    _make_pieces(folder)
    toml = [f"[{part}]" if value is None else f"{part} = {value}" for part, value in _toml_lines()]
    (folder / "settings.toml").write_text("\n".join(toml) + "\n", encoding="utf-8")


def _make_adapters(folder: Path, done: Callable[..., None]) -> None:
    """A base and two of PEFT's adapters, of factors and of vectors."""
    beside = folder / "beside"
    beside.mkdir()
    shutil.copy(folder / "F32.gguf", beside / "base.gguf")
    (folder / "talk.jsonl").write_text('{"question": "the", "answer": "a"}\n' * 4)
    for method in ("lora", "prompt"):
        done("finetune", folder / "F32.gguf", "--data", folder / "talk.jsonl", "--method", method,
             "--rank", 2, "--set", "method.tokens=2", "--set", "training.steps=1",
             "--set", "data.held_out=0", "--set", "data.length=10", "--out", folder / method)
        done("export", folder / method, "--to", "peft", "--out", beside / method)


def _make_shards(folder: Path) -> None:
    """A Hugging Face folder with its weights in two files, an index and a chat template."""
    header, arrays = mutate.take_apart((folder / "model.safetensors").read_bytes())
    names, where = sorted(set(header) - {"__metadata__"}), {}
    for file, own in (("1", names[::2]), ("2", names[1::2])):
        laid, parts, at = {}, [], 0
        for name in own:
            parts.append(arrays[slice(*header[name]["data_offsets"])])
            laid[name] = {**header[name], "data_offsets": [at, at + len(parts[-1])]}
            at += len(parts[-1])
            where[name] = f"model-{file}.safetensors"
        content = mutate.put_together(json.dumps(laid), b"".join(parts), random.Random(0))
        (folder / f"model-{file}.safetensors").write_bytes(content)
    (folder / "model.safetensors").unlink()
    index = json.dumps({"metadata": {}, "weight_map": where})
    (folder / "model.safetensors.index.json").write_text(index, encoding="utf-8")
    template = "{% for m in messages %}{{ m.role + m['content'] | trim }}{% endfor %}"
    (folder / "chat_template.jinja").write_text(template, encoding="utf-8")


def _make_pieces(folder: Path) -> None:
    """GGUF files of one model with both of SentencePiece's kinds: BPE by scores, and Unigram."""
    pieces, scores, types = models.columns(models.ROWS + models.BYTES)
    tokenizer = sentencepiece_files.from_lists(pieces, scores, types)
    merged, likeliest = folder / "scores.gguf", folder / "unigram.gguf"
    gguf_models.write_gguf(merged, made("llama", vocab_size=len(pieces)), tokenizer)
    charsmap = models.charsmap({"\t": " ", "e\u0301": "é"})
    copied(merged, likeliest, {
        "tokenizer.ggml.model": "t5",
        "tokenizer.ggml.precompiled_charsmap": np.frombuffer(charsmap, np.uint8),
    })


def _toml_lines():
    section = None
    for key, value in TINY.items():
        own, _, name = key.partition(".")
        if own != section:
            section = own
            yield own, None
        yield name, value


def _strip_checksums(path: Path) -> None:
    """A file as versions before checksums wrote it."""
    value = json.loads(path.read_text(encoding="utf-8"))
    for name in ("sha256", "files"):
        value.pop(name, None)
    for shards in value.get("splits", {}).values():
        for shard in shards:
            shard.pop("sha256", None)
    path.write_text(json.dumps(value, indent=1), encoding="utf-8")


# --- who reads ----------------------------------------------------------------------------------

# Name -> arguments, given the unit's folder; a leading "library" calls runner.LIBRARY instead.
COMMANDS: dict[str, Callable[[str], list[str]]] = {
    "generate": lambda at: ["generate", at, "--prompt", "the", "--max-tokens", "8"],
    "chat": lambda at: ["chat", at, "--max-tokens", "4"],
    "diagnose": lambda at: ["diagnose", at],
    "export": lambda at: ["export", at, "--csv", f"{at}.csv"],
    "quantize": lambda at: ["quantize", at, "--out", f"{at}.tgpt", "--eval-tokens", "64"],
    "resume": lambda at: ["train", "--out", at, "--resume", "--set", f"training.steps={STEPS + 2}"],
    "encode": lambda at: ["tokenizer", "encode", at, "--text", "the cat sat under the old tree"],
    "inspect": lambda at: ["tokenizer", "inspect", at, "the cat saw"],
    "decode": lambda at: ["tokenizer", "decode", at, "1", "2", "3"],
    "decode a file": lambda at: [
        "tokenizer", "decode", f"{at}/tokenizer.json", "--file", f"{at}/tokens/train-00000.bin"
    ],
    "convert": lambda at: ["tokenizer", "convert", at, f"{at}.out", "--format", "tiktoken"],
    "import": lambda at: ["import", at, "--out", f"{at}.run"],
    "info": lambda at: ["models", "info", at],
    "beside": lambda at: ["generate", f"{at}/base.gguf", "--adapter", f"{at}/lora", "--adapter",
                          f"{at}/prompt", "--prompt", "the", "--max-tokens", "4"],
    "looked at": lambda at: ["models", "info", f"{at}/lora"],
    "library": lambda at: ["library", at],
    "settings": lambda at: ["settings", at],
}

# --- what is read -------------------------------------------------------------------------------


def _sign_config(unit: Path, path: Path) -> None:
    value = json.loads((unit / "config.json").read_bytes())
    for name in value.get("files", {}):
        value["files"][name] = hashlib.sha256((unit / name).read_bytes()).hexdigest()
    (unit / "config.json").write_bytes(mutate.resign_json(json.dumps(value).encode(), 2))


def _sign_json(unit: Path, path: Path) -> None:
    path.write_bytes(mutate.resign_json(path.read_bytes()))


def _sign_tensors(unit: Path, path: Path) -> None:
    path.write_bytes(mutate.resign_tensors(path.read_bytes()))


def _sign_checkpoint(unit: Path, path: Path) -> None:
    manifest = unit / NEWEST / "manifest.json"
    value = json.loads(manifest.read_bytes())
    if path != manifest:
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        value["files"][path.name] = {"bytes": len(content), "sha256": digest}
    manifest.write_bytes(mutate.resign_json(json.dumps(value).encode()))


def _sign_tokens(unit: Path, path: Path) -> None:
    manifest = unit / "tokens/manifest.json"
    value = json.loads(manifest.read_bytes())
    itemsize = 4 if value["dtype"] == "uint32" else 2
    for shards in value["splits"].values():
        for shard in shards:
            content = (unit / "tokens" / shard["file"]).read_bytes()
            shard["tokens"] = len(content) // itemsize
            if "sha256" in shard:
                shard["sha256"] = hashlib.sha256(content).hexdigest()
    identity = json.dumps(value["made_from"], sort_keys=True).encode()
    identity += (unit / "tokens/tokenizer.json").read_bytes()
    value["fingerprint"] = hashlib.blake2b(identity).hexdigest()[:32]
    manifest.write_bytes(mutate.resign_json(json.dumps(value).encode()))


def _big_ids(data: bytes, chance: random.Random) -> bytes:
    """Every id xor 1, or some beyond any vocabulary."""
    if chance.random() < 0.5:
        return bytes(byte ^ (i % 2 == 0) for i, byte in enumerate(data))
    at = 2 * chance.randrange(len(data) // 2)
    return data[:at] + b"\xff\xff" + data[at + 2 :]


def _rank_lines(data: bytes, chance: random.Random) -> bytes:
    """Lines of a rank file with other tokens, ranks and spaces; some very long."""
    lines = data.splitlines()
    for _ in range(chance.choice((1, 2, 5))):
        at = chance.randrange(len(lines))
        token, rank = (lines[at].split() + [b"", b""])[:2]
        lines[at] = chance.choice((
            token + b" " + str(chance.choice((-1, 2**31, 10**30, 0, "x", 1.5))).encode(),
            base64.b64encode(chance.randbytes(chance.choice((0, 1, 3, 3000)))) + b" " + rank,
            token, b"", rank + b" " + token, lines[chance.randrange(len(lines))],
            token.rstrip(b"=") + b"  " + rank + b" 7",
        ))
    return b"\n".join(lines) + b"\n"


def _fields(data: bytes, chance: random.Random) -> bytes:
    """Fields of a message with other numbers, lengths and values; some twice, some gone."""
    parts = [(number, value) for number, value in fields(data)]
    for _ in range(chance.choice((1, 2, 5))):
        at = chance.randrange(len(parts))
        number, value = parts[at]
        inner = chance.randbytes(chance.choice((0, 1, 4, 40)))
        parts[at] = chance.choice((
            (number, inner), (chance.choice((1, 2, 3, 4, 2000)), value), parts[0],
            (number, 2 ** chance.randrange(63)), (number, float(chance.choice((0, 1e38, -1)))),
            (number, (value if isinstance(value, bytes) else b"")
             + models.message((chance.randrange(1, 50), inner))),
            (number, models.message((1, "▁a".encode() * chance.choice((1, 2000))), (2, -1.0))),
        ))
    return models.message(*parts)


def _toml_values(data: bytes, chance: random.Random) -> bytes:
    """Settings of other types and sizes, tables and names that are none."""
    lines = data.decode().splitlines()
    for _ in range(chance.choice((1, 1, 2, 4))):
        at = chance.randrange(len(lines))
        name = lines[at].partition("=")[0] if chance.random() < 0.8 else "other "
        lines[at] = name + "= " + chance.choice((
            "nan", "-inf", "1e999", "9" * 5000, "-1", "0", "2", str(2**63), "true", '""', '"none"',
            "[" * 20_000 + "]" * 20_000, "{a = " * 3000, "1979-05-27", "[]", "[1, 2]", '"\\ud800"',
            "{}", "{x = 1}", "'" + "x" * 100_000 + "'", "0x7fffffffffffffff", "1.5",
        ))
        if chance.random() < 0.2:
            lines.insert(at, chance.choice(("[model]", "[[data]]", "[a.b]", "model = 3", "[", "=")))
    return "\n".join(lines).encode()


JSON = (mutate.json_values,)
TENSORS = (mutate.tensors_header, mutate.tensors_metadata, mutate.tensors_arrays)
GGUF = (mutate_gguf.gguf_fields,) * 3 + (mutate_gguf.gguf_shapes, mutate_gguf.gguf_values)
MODEL = ("generate", "chat", "diagnose", "quantize", "resume", "library")
TOKENS = ("diagnose", "quantize", "resume")
FILES = ("generate", "chat", "library")
FOREIGN = ("generate", "chat", "library", "import")
RAW_IDS = ("decode a file",)
TOKENIZERS = ("encode", "inspect", "decode", "convert")


def subjects() -> list[Subject]:
    """Every kind of file, those of a run in a run of today and in one without checksums."""
    found = []
    for unit in ("char", "bpe", "old"):
        today = unit != "old"

        def add(name, path, commands, structured, exact=today, resign=None, unit=unit):
            found.append(Subject(name, f"{unit}/{path}", unit, commands, structured, exact, resign))

        add("config.json", "config.json", (*MODEL, "export"), JSON, resign=_sign_config)
        add("tokenizer.json of a run", "tokenizer.json", (*MODEL, "inspect"), JSON,
            resign=_sign_config)
        for name in ("model.safetensors", "optimizer.safetensors"):
            add("checkpoint", f"{NEWEST}/{name}", MODEL, TENSORS, True, _sign_checkpoint)
        for name in ("state.json", "manifest.json"):
            add("checkpoint", f"{NEWEST}/{name}", MODEL, JSON, True, _sign_checkpoint)
        lines = (mutate.json_lines,) * 3
        add("metrics.jsonl", "metrics.jsonl", ("export", "diagnose", "resume"), lines, False)
        add("samples.jsonl", "samples.jsonl", ("export", "resume"), lines, False)
        add("baselines.json", "baselines.json", ("export",), JSON, False, _sign_config)
        for name in ("train-00000.bin", "validation-00000.bin"):
            add("token shard", f"tokens/{name}", TOKENS, (_big_ids,), resign=_sign_tokens)
        found.append(Subject("raw ids", f"{unit}/tokens/train-00000.bin", unit, RAW_IDS,
                             (_big_ids,), stream=True))
        add("token manifest", "tokens/manifest.json", TOKENS, JSON, resign=_sign_json)
        add("token tokenizer", "tokens/tokenizer.json", TOKENS, JSON, resign=_sign_tokens)
    for name in ("int8", "int4", "nf4"):
        path = f"{name}.tgpt"
        found.append(Subject(".tgpt", path, path, FILES, TENSORS, True, _sign_tensors))
    for name in ("config.json", "tokenizer.json", "model.safetensors.index.json",
                 "tokenizer_config.json", "generation_config.json"):
        found.append(Subject("Hugging Face, JSON", f"hf/{name}", "hf", FOREIGN, JSON))
    found.append(Subject("Hugging Face, weights", "hf/model-1.safetensors", "hf", FOREIGN, TENSORS))
    found.append(Subject("Hugging Face, template", "hf/chat_template.jinja", "hf", ("chat",)))
    for name in ("F32.gguf", "Q4_0.gguf", "scores.gguf", "unigram.gguf"):
        found.append(Subject("GGUF", name, name, (*FOREIGN, "info"), GGUF))
    for path in ("ours.json", "char.json", "hf.json", "unigram.json", "spm.json"):
        found.append(Subject("tokenizer file", path, path, TOKENIZERS, JSON))
    for method in ("lora", "prompt"):
        for name, how in (("adapter_config.json", JSON), ("adapter_model.safetensors", TENSORS),
                          ("chat.json", JSON)):
            found.append(Subject(f"adapter, {name}", f"beside/{method}/{name}", "beside",
                                 ("beside", "looked at"), how))
    found.append(Subject("rank file", "ranks.tiktoken", "ranks.tiktoken", TOKENIZERS,
                         (_rank_lines,) * 2))
    found.append(Subject("SentencePiece model", "spm.model", "spm.model", TOKENIZERS[:3],
                         (_fields,) * 2))
    found.append(Subject("TOML", "settings.toml", "settings.toml", ("settings",), (_toml_values,),
                         stream=True))
    return found
