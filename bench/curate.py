"""What `tinygpt curate` costs, and whether it is worth it.

    python -m bench curate --megabytes 200            MB/s and the peak of memory, all stages
    python -m bench curate --proof                    the same model on raw, curated and clean text
    python -m bench curate --split 20000              what is alike in different splits; who moves

The proof: stories, half of what is there replaced by menus, licences, copies, text in another
language and garbage. The same model takes the same steps on the polluted folder as it is, on what
`curate` makes of it, and on the clean half alone; what counts is the loss on clean stories that
nobody saw, and how much of the gap between raw and clean the curated corpus wins back.

The split: stories, every third a copy of an earlier one with some words changed; nothing is
dropped, so that only the split keeps copies together. All pairs are compared, without bands. Then a
tenth more documents come, and of the old ones only those may move whose cluster got a new one.
"""

from __future__ import annotations

import json
import resource
import shutil
import string
import tempfile
import time
from pathlib import Path

import click
import numpy as np

import tinygpt
from tinygpt.curation import Account, curate, near
from tinygpt.curation.rules import RULES
from tinygpt.text import stories

LICENCE = (
    "Permission is granted to use this page in any form, provided that this notice stands in all "
    "copies of it. The page comes as it is, without a promise of any kind, and nobody is liable."
)
MENU = "\n".join(f"- {word} | Share | Print | Next" for word in (
    "Home", "News", "Shop", "Forum", "Contact", "Help", "About", "Login", "Search", "Map"
))
TRAINING = (
    "training.steps=300", "training.sample_every=none", "training.warmup_steps=30",
    "training.checkpoint_every=none", "training.eval_every=none", "model.n_layers=2",
)


def cipher(seed: int) -> dict[int, int]:
    """Another language: every letter another, vowels among vowels."""
    rng = np.random.default_rng(seed)
    table = {}
    for group in ("aeiou", "".join(c for c in string.ascii_lowercase if c not in "aeiou")):
        for a, b in zip(group, rng.permutation(list(group)), strict=True):
            table[ord(a)], table[ord(a.upper())] = ord(b), ord(b.upper())
    return table


def tales(count: int, seed: int, size: int = 1500) -> list[str]:
    """Documents of several stories each."""
    made: list[str] = []
    held: list[str] = []
    for tale in stories.generate(count * size * 2, np.random.default_rng(seed)):
        held.append(tale)
        if sum(map(len, held)) >= size:
            made.append("\n\n".join(held))
            held = []
        if len(made) == count:
            break
    return made


def polluted(clean: list[str], seed: int) -> list[str]:
    """`clean` and as many bytes of what nobody wants to learn, shuffled."""
    rng = np.random.default_rng(seed)
    rest = sum(map(len, clean))
    letters, made = np.array(list(string.ascii_letters + string.digits + "   .,#{}")), list(clean)
    foreign = cipher(seed + 1)
    while rest > 0:
        tale = clean[rng.integers(len(clean))]
        kind = rng.integers(5)
        text = (
            "\n\n".join([MENU, LICENCE] * int(rng.integers(2, 6))), tale,
            f"{tale}\n\nPage {rng.integers(99)}.", tale.translate(foreign),
            "".join(rng.choice(letters, 1500)),
        )[kind]
        made.append(text)
        rest -= len(text)
    return [made[i] for i in rng.permutation(len(made))]


def write(folder: Path, texts: list[str]) -> Path:
    folder.mkdir(parents=True)
    with open(folder / "all.jsonl", "w", encoding="utf-8") as file:
        for text in texts:
            file.write(json.dumps({"text": text}) + "\n")
    return folder


def loose(folder: Path, texts: list[str]) -> Path:
    """A file for each text, as training reads a folder."""
    folder.mkdir(parents=True)
    for number, text in enumerate(texts):
        (folder / f"{number:05}.txt").write_text(text, encoding="utf-8")
    return folder


def proof(where: Path, seed: int) -> dict[str, float]:
    """Source -> loss on clean stories that none of them saw, nats a character."""
    clean = tales(250, seed)
    raw = polluted(clean, seed)
    write(where / "dump", raw)
    for name, texts in (("en", tales(150, 900)), ("xx", tales(150, 901))):
        loose(where / f"languages/{name}", [
            text if name == "en" else text.translate(cipher(77)) for text in texts
        ])
    rules = where / "rules.toml"
    rules.write_text('[language]\nonly = ["en"]\n')
    balance = curate(
        where / "dump", where / "curated", rules=rules, languages=where / "languages"
    )
    account = Account(where / "curated")
    kept = sum(map(len, clean))
    click.echo(f"seed {seed}: kept {balance.kept / kept:.2f} of the clean bytes; {account.fates()}")
    account.close()
    sources = {
        "raw": loose(where / "raw", raw), "curated": where / "curated",
        "clean": loose(where / "clean", clean),
    }
    unseen = "\n\n".join(tales(40, 1000 + seed))
    found = {}
    for name, source in sources.items():
        settings = [f"data.source={source}", f"training.seed={seed}", *TRAINING]
        tinygpt.train("S", str(where / f"run-{name}"), settings)
        found[name] = float(tinygpt.open(str(where / f"run-{name}")).loss(unseen))
    return found


def throughput(where: Path, megabytes: int, workers: int) -> None:
    folder, size = where / "in", 0
    folder.mkdir()
    rng = np.random.default_rng(0)
    number = 0
    while size < megabytes << 20:
        texts = polluted(tales(300, number), number)
        path = folder / f"{number:05}.{'jsonl' if number % 2 else 'txt'}"
        body = "\n\n".join(texts) if path.suffix == ".txt" else "".join(
            json.dumps({"text": text, "n": int(rng.integers(9))}) + "\n" for text in texts
        )
        path.write_text(body, encoding="utf-8")
        size += path.stat().st_size
        number += 1
    started = time.perf_counter()
    marks: dict[str, float] = {}
    balance = curate(
        folder, where / "out", workers=workers,
        progress=lambda what, done, total: marks.setdefault(what, time.perf_counter() - started),
    )
    seconds = time.perf_counter() - started
    peaks = [resource.getrusage(who).ru_maxrss / 1024 for who in (
        resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN
    )]
    click.echo(
        f"{size / 1e6:.0f} MB in {seconds:.1f} s: {size / 1e6 / seconds:.2f} MB/s with {workers} "
        f"workers; peak {peaks[0]:.0f} MiB here, {peaks[1]:.0f} MiB the largest worker; kept "
        f"{balance.kept / 1e6:.1f} MB"
    )
    click.echo("began after (s): " + ", ".join(f"{what} {at:.1f}" for what, at in marks.items()))


def changed(text: str, rng: np.random.Generator) -> str:
    """The text with up to a tenth of its words another of its words."""
    words = text.split(" ")
    for at in np.flatnonzero(rng.random(len(words)) < rng.uniform(0, 0.1)):
        words[at] = words[rng.integers(len(words))]
    return " ".join(words)


def alike_across(texts: list[str], splits: list[str], least: float) -> list[float]:
    """The Jaccard indices, at least `least`, of all pairs of texts in different splits."""
    sets = [near.shingles(text) for text in texts]
    sizes, split = np.array([len(one) for one in sets]), np.unique(splits, return_inverse=True)[1]
    _, term = np.unique(np.concatenate(sets), return_inverse=True)
    order = np.argsort(term, kind="stable")
    owner = np.repeat(np.arange(len(sets)), sizes)[order]               # who holds each shingle
    edges = np.concatenate([[0], np.cumsum(np.bincount(term))])
    found: list[float] = []
    for i, own in enumerate(np.split(term, np.cumsum(sizes)[:-1])):
        holders = np.concatenate([owner[edges[t] : edges[t + 1]] for t in own.tolist()])
        both = np.bincount(holders, minlength=len(sets))
        alike = both / (sizes[i] + sizes - both)
        others = (alike >= least) & (split != split[i]) & (np.arange(len(sets)) > i)
        found += alike[others].tolist()
    return found


def splitting(where: Path, count: int) -> None:
    """Leaks, shares, and what moves when a tenth more documents come."""
    rng = np.random.default_rng(0)
    texts = tales(count + count // 10, 0, 400)
    for i in range(2, len(texts), 3):
        texts[i] = changed(texts[rng.integers(i)], rng)
    rules = where / "rules.toml"
    off = "".join(f"[{name}]\non = false\n" for name in RULES)
    rules.write_text(f"{off}[near]\nremove = 1.0\n")
    seen: list[dict[str, tuple[str, int]]] = []
    for name, some in (("old", texts[:count]), ("more", texts)):
        write(where / name, some)
        curate(where / name, where / f"{name}-out", rules=rules)
        account = Account(where / f"{name}-out")
        kept = account.rows("SELECT id, name, split, cluster FROM documents WHERE fate = 'kept'")
        account.close()
        seen.append({row["name"]: (row["split"], row["cluster"]) for row in kept})
        if name == "old":
            splits = [row["split"] for row in kept]
            across = alike_across([some[row["id"]] for row in kept], splits, 0.5)
    shares = {name: f"{splits.count(name) / len(splits):.4f}" for name in sorted(set(splits))}
    clusters = len({cluster for _, cluster in seen[0].values()})
    click.echo(f"{len(splits):,} documents kept, {clusters:,} clusters; {shares}")
    bands = ", ".join(f"from {b}: {sum(j >= b for j in across):,}" for b in (0.5, 0.6, 0.7, 0.8))
    click.echo(f"pairs alike in different splits, all compared: {bands}")
    old, more = seen
    joined = {cluster for name, (_, cluster) in more.items() if name not in old}
    moved = [name for name in old if name in more and old[name][0] != more[name][0]]
    alone = [name for name in moved if more[name][1] not in joined]
    click.echo(f"with {len(more) - len(old):,} more: {len(moved)} of the old moved, {len(alone)} "
               "of them without a new one in their cluster")


@click.command()
@click.option("--megabytes", default=50, show_default=True)
@click.option("--workers", default=2, show_default=True)
@click.option("--proof", "prove", is_flag=True, help="Train on raw, curated and clean text.")
@click.option("--seeds", default=3, show_default=True)
@click.option("--split", default=0, help="Documents of which no two alike may be split.")
def command(megabytes, workers, prove, seeds, split):
    """Speed and memory of `tinygpt curate`, or with --proof what it is worth."""
    where = Path(tempfile.mkdtemp(prefix="tinygpt-curate-"))
    try:
        if split:
            splitting(where, split)
            return
        if not prove:
            throughput(where, megabytes, workers)
            return
        won = []
        for seed in range(seeds):
            loss = proof(where / str(seed), seed)
            won.append((loss["raw"] - loss["curated"]) / (loss["raw"] - loss["clean"]))
            named = "  ".join(f"{name} {value:.4f}" for name, value in loss.items())
            click.echo(f"seed {seed}: {named}  of the gap won back: {won[-1]:.0%}")
        click.echo(f"median of the gap won back: {np.median(won):.0%}")
    finally:
        shutil.rmtree(where)
