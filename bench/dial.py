"""The one dial: the laws that it chooses by, fitted on our own runs; and whether it chooses well.

    python -m bench dial fit                  from dial_runs.jsonl to ../tinygpt/planning/laws.json
    python -m bench dial compare FILE --minutes 5        beside twelve choices made by hand

A fit of fourteen constants on some dozens of runs needs to be told what is plausible: each constant
has a guess with a spread (of its logarithm), which counts as one more measurement. Where the runs
know better they win; `fit` prints both, and how far each run is from its law.

Read first: ../tinygpt/planning/laws.py. Read next: dial_runs.py.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

RUNS = Path(__file__).parent / "dial_runs.jsonl"
REFERENCE = "en11"  # the text whose scale is 1: Shakespeare, as nanoGPT has it
SCALES = 0.15  # spread of the other texts'
NOISE = 0.015  # of a run's bits, a share: another seed gives that much more or less

# Constant -> (guess, spread of its natural logarithm). The powers are those of the literature
# (Hoffmann et al. 2022: 0.34 and 0.28; Muennighoff et al. 2023: 15 repeats), the sizes from them.
GUESSES = {
    "floor": (1.3, 0.3), "size": (3e3, 2.0), "size_power": (0.34, 0.3),
    "data": (1e4, 2.0), "data_power": (0.35, 0.4), "data_bytes": (0.6, 0.6),
    "repeats": (12.0, 0.7), "vocab": (2.0, 1.0), "vocab_power": (0.6, 0.3),
    "heart": (1e-3, 2.0), "heart_crowded": (1.0, 0.7), "heart_passes": (1.5, 0.7),
    "dropout_slows": (4.0, 0.5), "dropout_saves": (8.0, 0.3),
}


def load(path: Path = RUNS) -> list[dict[str, Any]]:
    """The runs: one line of JSON each."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def case_of(run: dict[str, Any], scales: dict[str, float]) -> Any:
    """A run as the laws see it; `scales` holds each text's."""
    from tinygpt.planning.laws import Case

    return Case(
        12 * run["layers"] * run["width"] ** 2, run["vocab"] * run["width"], run["vocab"],
        run["bytes"] / run["train_tokens"], run["train_tokens"], run["tokens"], run["dropout"],
        scales.get(run["text"], 1.0),
    )


def fit(runs: Sequence[dict[str, Any]]) -> tuple[dict[str, float], dict[str, float]]:
    """(constants, scale of each text but the first): least squares by Levenberg and Marquardt."""
    from tinygpt.planning.laws import bits_per_byte

    texts = sorted({run["text"] for run in runs} - {REFERENCE})
    names = [*GUESSES, *texts]
    guess = np.log([*(g for g, _ in GUESSES.values()), *(1.0 for _ in texts)])
    spreads = np.array([*(s for _, s in GUESSES.values()), *(SCALES for _ in texts)])
    seen = np.array([run["bits"] for run in runs])

    def residuals(theta: np.ndarray) -> np.ndarray:
        values = dict(zip(names, np.exp(theta).tolist(), strict=True))
        said = [bits_per_byte(case_of(run, values), values) for run in runs]
        return np.concatenate([(np.log(said) - np.log(seen)) / NOISE, (theta - guess) / spreads])

    theta, damping = guess.copy(), 1.0
    now = residuals(theta)
    for _ in range(300):
        slope = np.stack([
            (residuals(theta + 1e-4 * unit) - now) / 1e-4 for unit in np.eye(len(theta))
        ], axis=1)
        curve = slope.T @ slope
        step = np.linalg.solve(curve + damping * np.diag(np.diag(curve)), -slope.T @ now)
        tried = residuals(theta + np.clip(step, -1, 1))
        better = tried @ tried < now @ now
        damping *= 0.4 if better else 4.0
        if better:
            small = now @ now - tried @ tried < 1e-7 * (now @ now)
            theta, now = theta + np.clip(step, -1, 1), tried
            if small:
                break
        if damping > 1e9:
            break
    values = dict(zip(names, np.exp(theta).tolist(), strict=True))
    return {name: values[name] for name in GUESSES}, {name: values[name] for name in texts}


@click.group()
def command():
    """The laws of `tinygpt train --minutes`, and whether it chooses well."""


@command.command("fit")
def fit_command():
    """Fit the constants on dial_runs.jsonl and write them where the dial reads them."""
    from tinygpt.planning.laws import FILE, bits_per_byte

    runs = load()
    constants, scales = fit(runs)
    for name, (guess, spread) in GUESSES.items():
        click.echo(f"{name:15} {constants[name]:12.4g}   guessed {guess:g}, spread {spread:g}")
    off = []
    for run in runs:
        said = bits_per_byte(case_of(run, scales), constants)
        off.append(math.log(said / run["bits"]))
        click.echo(
            f"{run['text']:5} {run['tokenizer']:>5} {run['layers']} x {run['width']:3} dropout "
            f"{run['dropout']:.1f}  {run['tokens'] / 1e3:7.0f} k tokens {run['passes']:6.2f} "
            f"passes  {run['bits']:.3f} said {said:.3f} ({100 * off[-1]:+.1f} %)"
        )
    click.echo(" ".join(f"{text} {scale:.3f}" for text, scale in scales.items()) + " (scales)")
    click.echo(f"{len(runs)} runs, root mean square {100 * float(np.std(off)):.2f} %")
    values = {"runs": len(runs), "constants": {k: float(f"{v:.6g}") for k, v in constants.items()}}
    FILE.write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")


HAND = [  # (tokenizer, layers, width, dropout): what a person might take
    (kind, layers, width, dropout)
    for kind in ("char", "512", "2048")
    for layers, width, dropout in ((3, 96, 0.0), (4, 128, 0.0), (6, 192, 0.1), (6, 256, 0.2))
]


def by_hand(kind: str, layers: int, width: int, dropout: float) -> list[str]:
    """A choice as settings that the dial then leaves alone."""
    tokenizer = ["tokenizer.kind=char"] if kind == "char" else [
        "tokenizer.kind=bpe", f"tokenizer.vocab_size={kind}"]
    return [*tokenizer, f"model.n_layers={layers}", f"model.d_model={width}",
            f"model.dropout={dropout}"]


def trained(config: Any) -> float:
    """Bits per byte of all held-out text after a training."""
    from tinygpt.training.begin import begin
    from tinygpt.training.trainer import Trainer

    quiet = config.replace("training", eval_every=None, sample_every=None, checkpoint_every=None)
    with tempfile.TemporaryDirectory() as folder:
        session = begin(quiet, Path(folder) / "run")
        outcome = Trainer(session).run()
        return float(session.objective.bits_per_byte(outcome.val_loss))


@command.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.option("--minutes", type=float, default=5.0, show_default=True)
@click.option("--speed", type=float, help="Operations a second.  [measured]")
@click.option("--only", type=int, help="Only the dial's and so many of the others.")
def compare(file, minutes, speed, only):
    """The dial beside twelve choices made by hand, each as many steps as the minutes hold.

    Steps are counted, not timed: operations at one speed for all, so that what else the machine
    does meanwhile is no matter. Give --speed to take the minutes of another machine.
    """
    from tinygpt.planning import dial
    from tinygpt.text import load_corpus

    text = dial.look_at(load_corpus(file))
    speed = speed or dial.speed_here(3.0)
    rows = [("the dial", [])]
    rows += [(" ".join(map(str, choice)), by_hand(*choice)) for choice in HAND[:only]]
    found = []
    for name, settings in rows:
        chosen = dial.choose(text, 60 * minutes, speed, settings, str(Path(file).resolve()))
        shape, recipe = chosen.config.model, chosen.config.training
        bits = trained(chosen.config)
        found.append(bits)
        click.echo(
            f"{name:20} {chosen.config.tokenizer.kind} {shape.vocab_size}, {shape.n_layers} x "
            f"{shape.d_model}, dropout {shape.dropout:g}, {recipe.steps} x {recipe.batch_size} x "
            f"{shape.context}: {bits:.4f} bits a byte, expected {chosen.bits:.4f}"
        )
    best = min(found[1:], default=found[0])
    click.echo(f"the dial against the best by hand: {100 * (found[0] / best - 1):+.1f} %")
