"""Training and encoding against Hugging Face tokenizers and tiktoken, one thread each.

The text is the standard library's own source with its tests (about 31 MB, 1,800 files), which every
Python has. Merges are compared with Hugging Face's, ids with tiktoken's: a figure is only printed
beside the word "identical".
"""

from __future__ import annotations

import json
import os
import random
import sysconfig
from functools import partial
from pathlib import Path

import click

from bench.timing import headline, interleave, ratio, seconds_of, spread

PEERS = ("all", "huggingface", "tiktoken", "none")


def standard_library() -> list[str]:
    """Every source file of the running interpreter's library that is UTF-8, tests included."""
    texts = []
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).rglob("*.py")):
        if "site-packages" not in path.parts:
            try:
                texts.append(path.read_bytes().decode())
            except UnicodeDecodeError:
                continue  # a test of what happens then
    return texts


@click.command()
@click.option("--peer", type=click.Choice(PEERS), default="all", show_default=True)
@click.option("--vocab-size", "sizes", multiple=True, type=int, default=(4096, 32768),
              show_default=True)
@click.option("--pattern", "patterns", multiple=True, default=("gpt2", "cl100k"), show_default=True)
@click.option("--rounds", default=3, show_default=True, help="Interleaved, A B A B.")
@click.option("--part", type=click.Choice(["all", "train", "encode", "hard"]), default="all")
@click.option("--ranks", help="Only this: a tiktoken rank file, loaded and used by both, under the "
              "first --pattern.")
def command(peer, sizes, patterns, rounds, part, ranks):
    """Seconds to train and MB/s to encode, ours and the peers', interleaved."""
    os.environ |= {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    from tinygpt.tokenizer import what_runs

    if ranks:
        click.echo(headline())
        _bench_ranks(ranks, patterns[0], rounds)
        return
    texts = standard_library()
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    click.echo(headline())
    click.echo(f"{len(texts)} files, {megabytes:.1f} MB; ours: {what_runs()}")
    for pattern in patterns:
        if part in ("all", "train"):
            for size in sizes:
                _bench_training(texts, pattern, size, peer in ("all", "huggingface"), rounds)
        if part in ("all", "encode"):
            _bench_encoding(texts, megabytes, pattern, max(sizes), peer in ("all", "tiktoken"),
                            rounds)
        if part in ("all", "hard"):
            _bench_hard_cases(texts, pattern, max(sizes))


def _bench_training(texts, pattern, size, against, rounds) -> None:
    from tinygpt.tokenizer import huggingface, train_bpe

    made = {}

    def ours():
        made["ours"] = train_bpe(texts, size, pattern=pattern, special_tokens=())

    def theirs():
        made["theirs"] = _train_huggingface(texts, size, pattern)

    functions = {"ours": ours} | ({"tokenizers": theirs} if against else {})
    times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            times[name].append(seconds_of(function))
    line = f"train {pattern:7} {size:6}  ours {spread(times['ours'])} s"
    if against:
        trained = made["ours"]
        name = {token: huggingface.spell(data) for token, data in trained.token_bytes.items()}
        merges = [[name[left], name[right]] for left, right in trained.merges]
        same = merges == [list(m) for m in json.loads(made["theirs"].to_str())["model"]["merges"]]
        line += f"  tokenizers {spread(times['tokenizers'])} s"
        line += f"  {ratio(times, 'ours', 'tokenizers'):.1f} times faster"
        line += f"  {len(merges)} merges {'identical' if same else 'DIFFERENT'}"
    click.echo(line)


def _train_huggingface(texts, size, pattern):
    import tokenizers as hf

    from tinygpt.tokenizer.pretokenize import PATTERNS

    tokenizer = hf.Tokenizer(hf.models.BPE())
    byte_level = hf.pre_tokenizers.ByteLevel
    if pattern == "gpt2":  # its own scanner for this one, as a user would have it
        tokenizer.pre_tokenizer = byte_level(add_prefix_space=False, use_regex=True)
    else:
        split = hf.pre_tokenizers.Split(hf.Regex(PATTERNS[pattern]), behavior="isolated")
        tokenizer.pre_tokenizer = hf.pre_tokenizers.Sequence(
            [split, byte_level(add_prefix_space=False, use_regex=False)]
        )
    trainer = hf.trainers.BpeTrainer(
        vocab_size=size,
        min_frequency=2,
        show_progress=False,
        initial_alphabet=byte_level.alphabet(),
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def _bench_encoding(texts, megabytes, pattern, size, against, rounds) -> None:
    import regex

    from tinygpt.tokenizer import train_bpe
    from tinygpt.tokenizer.pretokenize import PATTERNS

    ours = train_bpe(texts, size, pattern=pattern, special_tokens=())
    find = regex.compile(PATTERNS[pattern]).findall
    functions = {
        "ours": partial(_each, partial(ours.encode_array, disallowed_special=()), texts),
        "ours, lists": partial(_each, partial(ours.encode, disallowed_special=()), texts),
        "regex.findall": partial(_each, find, texts),
    }
    if against:
        import tiktoken

        theirs = tiktoken.Encoding(
            "ours",
            pat_str=PATTERNS[pattern],
            mergeable_ranks={data: token for token, data in ours.token_bytes.items()},
            special_tokens={},
        )
        functions["tiktoken"] = partial(_each, theirs.encode_ordinary, texts)
        same = all(theirs.encode_ordinary(text) == ours.encode(text) for text in texts)
    times = interleave(functions, rounds, seconds=0)
    for name, seconds in times.items():
        rate = spread([megabytes / s for s in seconds])
        line = f"encode {pattern:7} {size:6}  {name:14} {rate:.1f} MB/s"
        if against and name.startswith("ours"):
            line += f"  {ratio(times, name, 'tiktoken'):.1f} times tiktoken"
            line += f"  ids {'identical' if same else 'DIFFERENT'}"
        click.echo(line)


def _each(function, texts) -> None:
    for text in texts:
        function(text)


def mixed_texts() -> dict[str, str]:
    """Five megabytes of many kinds: source, prose in many languages where there is any, noise."""
    source = "".join(standard_library()[::9])[:2_000_000]
    documents = [
        path for folder in ("/usr/share/doc", "/usr/share/i18n", "/usr/share/perl")
        for path in sorted(Path(folder).rglob("*")) if path.is_file() and path.suffix != ".gz"
    ]
    prose = "".join(path.read_bytes()[:40_000].decode("utf-8", "replace") for path in documents)
    rng = random.Random(0)
    points = [p for p in range(0x110000) if not 0xD800 <= p < 0xE000]
    noise = "".join(map(chr, rng.choices(points, k=150_000)))
    scripts = "".join(map(chr, rng.choices(range(0x20, 0x3100), k=300_000)))
    return {"source": source, "prose": prose[:2_000_000], "noise": noise, "scripts": scripts}


def _bench_ranks(path, pattern, rounds) -> None:
    """Load a rank file and encode with it: ours against tiktoken, the ids compared."""
    import tiktoken
    from tiktoken.load import load_tiktoken_bpe

    from tinygpt.tokenizer import load
    from tinygpt.tokenizer.pretokenize import PATTERNS

    made = {}

    def ours():
        made["ours"] = load(path, pattern)

    def theirs():
        made["theirs"] = tiktoken.Encoding(
            "x", pat_str=PATTERNS[pattern], mergeable_ranks=load_tiktoken_bpe(path),
            special_tokens={},
        )

    times = interleave({"ours": ours, "tiktoken": theirs}, rounds, seconds=0)
    click.echo(f"load {Path(path).name}  ours {spread(times['ours'])} s  tiktoken "
               f"{spread(times['tiktoken'])} s  {ratio(times, 'tiktoken', 'ours'):.2f} of its time")
    for name, text in mixed_texts().items():
        one, other = made["ours"].encode_array, made["theirs"].encode_ordinary
        same = one(text, disallowed_special=()).tolist() == other(text)
        runs = {"ours": partial(one, text, disallowed_special=()), "tiktoken": partial(other, text)}
        times = interleave(runs, rounds, seconds=0)
        click.echo(f"{pattern} {name:8} {len(text.encode()) / 1e6:.2f} MB  "
                   f"{ratio(times, 'ours', 'tiktoken'):.1f} times tiktoken  "
                   f"ids {'identical' if same else 'DIFFERENT'}")


def _bench_hard_cases(texts, pattern, size) -> None:
    """A megabyte of each: no case may be far slower than the others."""
    from tinygpt.tokenizer import train_bpe

    ours = train_bpe(texts, size, pattern=pattern, special_tokens=())
    rng = random.Random(0)
    source = "".join(texts[::40]).encode()
    cases = {
        "source code": source[: 2**20],
        "one letter": b"a" * 2**20,
        "one space": b" " * 2**20,
        "random bytes": rng.randbytes(2**20),
        "random letters": bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz", k=2**20)),
        "code without spaces": b"".join(source.split())[: 2**20],
        "letters of code": bytes(byte for byte in source if chr(byte).isalpha())[: 2**20],
    }
    for name, data in cases.items():
        seconds = min(seconds_of(partial(ours.encode_array, data)) for _ in range(3))
        rate = len(data) / 1e6 / seconds
        click.echo(f"hard {pattern:7} {name:20} {1000 * seconds:7.1f} ms  {rate:6.1f} MB/s")
