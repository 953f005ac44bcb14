"""What an encoder is good for, offline: classifying text and finding stories of one plot.

    python -m bench encoder                    all three, some minutes each
    python -m bench encoder --task language

code        Python's standard library against the prose in /usr/share/doc (the stories where there
            is none): 200 labelled snippets, an encoder that read 12,000 unlabelled ones before, and
            one that did not.
language    the same for the language of the manual pages that Debian packages carry.
neighbours  stories embedded by an encoder trained on other stories: is the plot of the nearest one
            the same? Against chance and against the stories' bags of characters.

Everything is drawn from a seed. What the machine lacks is skipped, with a sentence.

Read next: ../tinygpt/pretraining/masked.py, ../tinygpt/finetuning/classification.py.
"""

from __future__ import annotations

import gzip
import json
import re
import sysconfig
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np

import tinygpt
from tinygpt.config import from_dict
from tinygpt.finetuning.classification import open_classifier
from tinygpt.text.stories import one_story

DOCUMENTS, MANUALS = Path("/usr/share/doc"), Path("/usr/share/man")
TOKENS = 2048  # in a step of pretraining
LENGTH = 100  # characters of a snippet
LABELLED, TESTED, UNLABELLED = 200, 600, 12_000  # snippets of all classes together
MODEL = {  # BERT, with two switches turned that have it learn sooner
    "family": "bert", "norm_place": "pre", "positions": "rope",
    "n_layers": 2, "n_heads": 4, "d_model": 64,
}
MASKING = {"share": 0.3}  # twice BERT's: as many tokens read teach twice as much
SLOW = {"sample_every": None, "checkpoint_seconds": None}
MUON = {"optimizer": "muon", "lr": 2e-2, "min_lr": 1e-4, "beta2": 0.99}
ADAMW = {"lr": 3e-3, "min_lr": 1e-5}


def snippets(text: str) -> Iterator[str]:
    """Stretches of LENGTH characters, every third, that hold more than white space."""
    for at in range(LENGTH, len(text) - LENGTH, 3 * LENGTH):
        piece = " ".join(text[at : at + LENGTH].split())
        if len(piece) > LENGTH // 2:
            yield piece


def opened(path: Path) -> str:
    """A text file, packed or not; what is not UTF-8 is left out."""
    content = path.read_bytes()
    return (gzip.decompress(content) if path.suffix == ".gz" else content).decode(errors="ignore")


def code() -> Iterator[str]:
    """Python's standard library, file by file."""
    root = Path(sysconfig.get_paths()["stdlib"])
    for path in sorted(root.glob("*.py")) + sorted(root.glob("[a-z]*/*.py")):
        if "site-packages" not in path.parts and "test" not in path.parts[-2]:
            yield path.read_text(encoding="utf-8", errors="ignore")


def prose(rng: np.random.Generator) -> Iterator[str]:
    """READMEs and news of the packages here; stories where there are none."""
    kinds = ("README*", "NEWS*", "TODO*", "FAQ*")
    paths = sorted({p for kind in kinds for p in DOCUMENTS.glob(f"*/{kind}") if p.is_file()})
    if len(paths) < 100:
        click.echo(f"{DOCUMENTS} has {len(paths)} READMEs: the prose is stories")
        yield from (one_story(rng).text for _ in range(3000))
    yield from map(opened, paths)


def manual(page: str) -> str:
    """A manual page without its commands and escapes."""
    kept = [line for line in page.split("\n") if not line.startswith((".", "'"))]
    return re.sub(r"\\f.|\\[-&~|^ ]|\\\(..|\\\[[^\]]*\]|\\", "", " ".join(kept))


def languages() -> dict[str, list[str]]:
    """Language -> snippets of its manual pages, for those that have many."""
    found: dict[str, list[str]] = {}
    folders = [*MANUALS.glob("[a-z][a-z]"), *MANUALS.glob("[a-z][a-z]_*"), MANUALS]
    for folder in sorted(folders):
        name = "en" if folder == MANUALS else folder.name
        pages = sorted(p for p in folder.glob("man*/*") if p.is_file())[:400]
        pieces = [piece for page in pages for piece in snippets(manual(opened(page)))]
        if len(pieces) >= 300:
            found[name] = pieces
    return found


def train(config: dict, out: Path) -> Path:
    """A finished run of a configuration."""
    tinygpt.train(from_dict(config), out)
    return out


def pretrained(texts: list[str], folder: Path, steps: int, context: int, vocabulary: int) -> Path:
    """An encoder that has read `texts`, each a document."""
    (folder / "texts").mkdir()
    for number, text in enumerate(texts):
        (folder / "texts" / f"{number:05d}.txt").write_text(text, encoding="utf-8")
    return train({
        "model": MODEL | {"context": context},
        "tokenizer": {"kind": "bpe", "vocab_size": vocabulary},
        "data": {"source": str(folder / "texts"), "split": [0.95, 0.05, 0.0]},
        "masking": MASKING,
        "training": MUON | SLOW | {"steps": steps, "batch_size": TOKENS // context,
                                   "warmup_steps": 20, "eval_every": steps},
    }, folder / "encoder")


def accuracy(examples: list[dict], base: Path | None, folder: Path, seed: int) -> float:
    """Of a classifier that learned LABELLED of the examples, on the others."""
    source = folder / "examples.jsonl"
    source.write_text("\n".join(json.dumps(e) for e in examples) + "\n", encoding="utf-8")
    config = {
        "objective": "classification",
        "model": MODEL | {"context": 64}, "tokenizer": {"kind": "bpe", "vocab_size": 512},
        "data": {"source": str(source), "held_out": 1 - LABELLED / len(examples)},
        "training": ADAMW | SLOW | {"steps": 300, "batch_size": 16, "warmup_steps": 15,
                                    "eval_every": None, "seed": seed},
    }
    if base is not None:
        config["base"] = str(base)
    run = train(config, folder / ("tuned" if base else "scratch"))
    kept = [json.loads(line) for line in (run / "examples.jsonl").read_text().splitlines()]
    judged = kept[LABELLED:]
    answers = open_classifier(run).classify([e["text"] for e in judged])
    right = [next(iter(a)) == e["label"] for a, e in zip(answers, judged, strict=True)]
    return float(np.mean(right))


def classify(pools: dict[str, list[str]], steps: int, seed: int, folder: Path) -> None:
    """Both accuracies for classes of snippets."""
    rng, examples, rest = np.random.default_rng(seed), [], []
    each, more = (LABELLED + TESTED) // len(pools), UNLABELLED // len(pools)
    for label, pieces in sorted(pools.items()):
        order = [pieces[i] for i in rng.permutation(len(pieces))]
        wanted = min(each, len(order) // 2)
        examples += [{"text": text, "label": label} for text in order[:wanted]]
        rest += order[wanted : wanted + more]
    began = time.perf_counter()
    base = pretrained([rest[i] for i in rng.permutation(len(rest))], folder, steps, 64, 512)
    seconds = time.perf_counter() - began
    with_it, without = (accuracy(examples, b, folder, seed) for b in (base, None))
    click.echo(
        f"  {len(pools)} classes ({', '.join(sorted(pools))}), {LABELLED} labelled snippets of "
        f"{LENGTH} characters, {len(examples) - LABELLED} others judged\n"
        f"  from scratch      {without:6.1%}\n"
        f"  from an encoder   {with_it:6.1%}   (read {len(rest)} snippets in {seconds:.0f} s)"
    )


def code_task(steps: int, seed: int, folder: Path) -> None:
    """Code against prose."""
    rng = np.random.default_rng(seed)
    sources = {"code": code(), "prose": prose(rng)}
    classify(
        {name: [s for text in texts for s in snippets(text)] for name, texts in sources.items()},
        steps, seed, folder,
    )


def language_task(steps: int, seed: int, folder: Path) -> None:
    """The language of manual pages."""
    pools = languages()
    if len(pools) < 3:
        click.echo(f"  skipped: {MANUALS} has pages of {len(pools)} languages, three are the least")
        return
    classify(pools, steps, seed, folder)


def recall(vectors: np.ndarray, plots: np.ndarray) -> dict[int, float]:
    """k -> share of texts of which one of the k nearest has the same plot."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit.T
    np.fill_diagonal(cosines, -np.inf)
    nearest = np.argsort(-cosines, axis=1)[:, :-1]  # the last is itself
    hit = plots[nearest] == plots[:, None]
    return {k: float(hit[:, :k].any(axis=1).mean()) for k in (1, 5, 10)}


def scaled(vectors: np.ndarray) -> np.ndarray:
    """Each number's mean taken away and its spread made one: else a few common ones decide."""
    return (vectors - vectors.mean(axis=0)) / np.maximum(vectors.std(axis=0), 1e-9)


def whitened(vectors: np.ndarray) -> np.ndarray:
    """The same along their principal axes, so that no two say the same (Su et al. 2021)."""
    axes, spreads, _ = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    return axes[:, spreads > 1e-5 * spreads[0]]


def characters(texts: list[str]) -> np.ndarray:
    """How often each character stands in each text, in shares of it."""
    known = sorted(set().union(*texts))
    return np.array([[text.count(c) / len(text) for c in known] for text in texts])


def neighbours_task(steps: int, seed: int, folder: Path) -> None:
    """Stories of one plot."""
    rng = np.random.default_rng([seed, 1])
    read = [one_story(rng).text for _ in range(2000)]
    held = [one_story(rng) for _ in range(600)]
    texts, plots = [s.text for s in held], np.array([s.plot for s in held])
    base = pretrained(read, folder, steps, 128, 512)
    vectors = tinygpt.open(base).embed(texts)
    rows = {"chance": rng.standard_normal((600, 64))}
    for name, found in (("bag of characters", characters(texts)), ("mean vector", vectors)):
        rows |= {
            name: found, f"{name}, scaled": scaled(found), f"{name}, whitened": whitened(found),
        }
    click.echo(f"  {len(set(plots))} plots, {len(texts)} stories that were not read before")
    for name, found in rows.items():
        shares = "   ".join(f"{k:>2}: {share:5.1%}" for k, share in recall(found, plots).items())
        click.echo(f"  {name:28} recall at {shares}")


TASKS: dict[str, tuple[Callable[[int, int, Path], None], int]] = {
    "code": (code_task, 600), "language": (language_task, 600),
    "neighbours": (neighbours_task, 900),
}


@click.command()
@click.option("--task", "tasks", multiple=True, type=click.Choice(list(TASKS)),
              help="One of them; may be repeated.  [all]")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--steps", type=click.IntRange(1), help="Of pretraining, in place of each task's.")
def command(tasks, seed, steps):
    """What an encoder is good for: classifying text, finding stories of one plot."""
    for name in tasks or TASKS:
        task, usual = TASKS[name]
        click.echo(f"{name}: {task.__doc__}")
        began = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            task(steps or usual, seed, Path(folder))
        click.echo(f"  {time.perf_counter() - began:.0f} s")
