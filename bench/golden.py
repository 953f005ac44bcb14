"""Are the numbers still the same? The commands of two checkouts, and a hash of all that they leave.

    python -m bench golden --tree ../parent

Trains three small models in each tree (C and NumPy, three optimizers, accumulation, dropout,
recomputed activations, characters and BPE), lets them write and chat, quantizes them, takes their
last checkpoint away and resumes them, and compares checkpoints, metrics, texts and files byte for
byte. What is left out is what a clock or a path decides. A refactoring must not change one of them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import click

from bench.timing import python_of

SHORT = [
    "training.steps=25", "training.eval_every=10", "training.sample_every=10",
    "training.checkpoint_every=10", "training.eval_tokens=2000", "data.stories_mb=0.3",
]
SMALL = ["model.n_layers=2", "model.d_model=32", "model.n_heads=2", "model.context=32"]
RUNS = {  # name: (configuration, settings, backend)
    "characters": ("S", [], "auto"),
    "numpy": ("S", [*SMALL, "model.dropout=0.2", "training.accumulation=3",
                    "training.optimizer=adamw", "training.label_smoothing=0.1"], "numpy"),
    "bpe": (None, [*SMALL, "tokenizer.kind=bpe", "tokenizer.vocab_size=512", "model.norm=rmsnorm",
                   "model.activation=relu2", "training.optimizer=adamw8bit",
                   "training.recompute=true"], "auto"),
}
CLOCKS = ("seconds", "tokens_per_second", "rss_bytes")
LEFT_OUT = ("log.txt", "report.html", "config.json", "manifest.json")


def leave(python: str, tree: str | None, folder: Path, name: str) -> dict[str, str]:
    """Run everything of one model in `folder`; returns name -> hash of what it left."""
    config, settings, backend = RUNS[name]
    found: dict[str, str] = {}

    def call(*arguments: str, text: str | None = None) -> str:
        done = subprocess.run(
            [python, "-m", "tinygpt", *arguments], cwd=tree, input=text, capture_output=True,
            text=True, check=False,
            env={**os.environ, "TINYGPT_THREADS": "2", "KERNELS_BACKEND": backend},
        )
        if done.returncode:
            raise click.ClickException(f"{arguments[0]} of {name}: {done.stdout}{done.stderr}")
        return done.stdout.replace(str(folder), "")

    run = folder / name
    options = [x for setting in (*SHORT, *settings) for x in ("--set", setting)]
    call("train", *([config] if config else []), "--data", "stories", *options, "--out", str(run))
    for path in sorted(run.rglob("*")):
        if path.is_file() and path.name not in LEFT_OUT:
            found[str(path.relative_to(folder))] = digest(path)
    drawn = ("--max-tokens", "100")
    found[f"{name} writes"] = hashed(call("generate", str(run), "--prompt", "the ", *drawn))
    found[f"{name} chats"] = hashed(call("chat", str(run), *drawn, text="the king\nand then\n"))
    for scheme in ("int8", "int4", "nf4"):
        file = folder / f"{name}.{scheme}"
        call("quantize", str(run), "--to", scheme, "--out", str(file))
        found[file.name] = digest(file)
        found[f"{file.name} writes"] = hashed(
            call("generate", str(file), "--prompt", "the ", *drawn)
        )
    last = run / "checkpoints/step-00000025"
    shutil.rmtree(last)  # more steps would follow each tree's own idea of the rate
    call("train", "--out", str(run), "--resume")
    found[f"{name} resumed"] = digest(last / "model.safetensors")
    return found


def digest(path: Path) -> str:
    """Of a file's bytes, without what a clock wrote into state.json and metrics.jsonl."""
    if path.name == "state.json":
        state = json.loads(path.read_text(encoding="utf-8"))
        del state["train"]["seconds"]
        return hashed(json.dumps(state, sort_keys=True))
    if path.name == "metrics.jsonl":
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return hashed(json.dumps([{k: v for k, v in m.items() if k not in CLOCKS} for m in lines]))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def hashed(text: str) -> str:
    """Of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


@click.command()
@click.option("--tree", type=click.Path(exists=True, file_okay=False), required=True,
              help="Another checkout of ours, by the Python in its .venv.")
def command(tree):
    """Whether two checkouts leave the same bytes; exits 1 if not."""
    different = count = 0
    for name in RUNS:
        with tempfile.TemporaryDirectory() as ours, tempfile.TemporaryDirectory() as theirs:
            here = leave(python_of(None), None, Path(ours), name)
            there = leave(python_of(tree), tree, Path(theirs), name)
        for key in sorted({*here, *there}):
            count += 1
            if here.get(key) != there.get(key):
                different += 1
                click.echo(f"different: {key}")
    click.echo(f"{count} files and texts, {different} different")
    if different:
        raise SystemExit(1)
