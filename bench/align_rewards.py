"""A reward model held to what is known, and over-optimisation, drawn.

    python -m bench align-rewards FOLDER --pairs 500 --pairs 20000 --chart docs/overoptimisation.svg

A small model learns to write strings (letters.py), a reward model of each size learns from choices
between them, and its scores of fresh strings are compared with gold: accuracy and loss beside what
is possible, correlation, and gold against KL for best of n and for a policy that learns from the
proxy without a leash (RLOO). What FOLDER holds already is used again.

A policy goes where best of n cannot: strings that no sample of the base holds, which no choice was
ever asked about. There the proxy is a guess, and what is found is the guess that is wrong most.

Read first: letters.py, ../tinygpt/alignment/best_of_n.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from bench import letters
from bench.align_chart import draw
from tinygpt.alignment.best_of_n import Point, best_of_n, fitted, lost

HELD = 4000  # choices that nobody learned from
SAMPLE = 20_000  # strings that are scored
NS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
STEPS, TOGETHER = 400, 10  # of the policy; steps that are one point of its curve


def base_of(folder: Path) -> Path:
    """A model that writes strings, made once."""
    from tinygpt.config import from_dict
    from tinygpt.training.begin import begin
    from tinygpt.training.trainer import Trainer

    run = folder / "base"
    if not (run / "config.json").exists():
        letters.write_talk(folder / "talk.jsonl", 4000, np.random.default_rng(0))
        config = from_dict({
            "objective": "finetuning",
            "model": {"n_layers": 2, "n_heads": 4, "d_model": 48, "context": 32},
            "data": {"source": str(folder / "talk.jsonl"), "epochs": 1.0},
            "training": {"batch_size": 8, "lr": 3e-3, "min_lr": 3e-4, "sample_every": None},
        })
        Trainer(begin(config, run)).run()
    return run


def judge_of(folder: Path, count: int, overrides: dict[str, Any]) -> Path:
    """A reward model of so many choices, made once."""
    from tinygpt.config import from_dict
    from tinygpt.training.begin import begin
    from tinygpt.training.trainer import Trainer

    run, source = folder / f"judge{count}", folder / f"pairs{count}.jsonl"
    if not (run / "config.json").exists():
        letters.write_pairs(source, count, np.random.default_rng(count))
        config = from_dict({
            "objective": "reward", "base": str(base_of(folder)), "judging": {"centring": 0.0},
            "data": {"source": str(source), "held_out": 0.0, "epochs": max(10.0, 25_600 / count)},
            "training": {"batch_size": 32, "lr": 3e-3, "min_lr": 1e-5, "warmup_steps": 50,
                         "sample_every": None, "eval_every": None, "checkpoint_every": 500,
                         **overrides},
        })
        Trainer(begin(config, run)).run()
    return run


def by_training(folder: Path, judge: Path, steps: int) -> list[Point]:
    """What a policy's answers are worth as it learns from a judge's scores: a point each TOGETHER
    steps, from what it wrote to learn from."""
    import tempfile

    from tinygpt.config import from_dict
    from tinygpt.training.begin import begin
    from tinygpt.training.trainer import Trainer

    config = from_dict({
        "objective": "reinforcement", "base": str(base_of(folder)),
        "data": {"source": str(folder / "talk.jsonl")},
        "policy": {"algorithm": "rloo", "rewards": [f"model:{judge}"], "prompts": 8, "group": 16,
                   "beta": 0.0, "most": letters.LONGEST + 1},
        "training": {"batch_size": 128, "steps": steps, "lr": 1e-3, "min_lr": 1e-3,
                     "sample_every": None, "eval_every": None, "checkpoint_every": None},
    })
    with tempfile.TemporaryDirectory() as place:
        session = begin(config, Path(place) / "policy")
        objective: Any = session.objective
        rewards, loss = objective.rewards, objective.loss
        worth, away = [], []

        def watched(answers: Any, rng: np.random.Generator) -> np.ndarray:
            found: np.ndarray = rewards(answers, rng)
            worth.append((found.mean(), np.mean([letters.gold(one.text) for one in answers])))
            return found

        def learned(model: Any, batch: Any) -> Any:
            away.append(batch.seen["kl"].mean())
            return loss(model, batch)

        objective.rewards, objective.loss = watched, learned
        Trainer(session).run()
    rows = np.column_stack([away[-steps:], worth[-steps:]])
    return [Point(*map(float, rows[at : at + TOGETHER].mean(axis=0)))
            for at in range(0, steps, TOGETHER)]


def measured(folder: Path, count: int, overrides: dict[str, Any]) -> dict[str, Any]:
    """A reward model beside what is possible, and its curves."""
    from tinygpt.alignment.reward_model import calibration, open_reward_model
    from tinygpt.text.conversations import asked

    run = judge_of(folder, count, overrides)
    judge = open_reward_model(run)
    held = folder / "held.jsonl"
    bayes = letters.write_pairs(held, HELD, np.random.default_rng(99))
    pairs = [json.loads(line) for line in held.read_text().splitlines()]
    sides = [
        judge.scores([(asked(letters.PROMPT, "x"), pair[side]) for pair in pairs])
        for side in ("chosen", "rejected")
    ]
    h = sides[0] - sides[1]
    texts = letters.strings(SAMPLE, np.random.default_rng(7))
    proxy = judge.scores([(asked(letters.PROMPT, "x"), text) for text in texts])
    gold = np.array([letters.gold(text) for text in texts])
    start = float(gold.mean())
    best = [best_of_n(proxy, gold, n) for n in NS]
    trained = by_training(folder, run, STEPS)
    return {
        "pairs": count, "accuracy": float((h > 0).mean()),
        "loss": float(np.logaddexp(0, -h).mean()),
        "bayes": bayes, "correlation": float(np.corrcoef(proxy, gold)[0, 1]),
        "calibration": calibration(h), "start": start, "best": best, "trained": trained,
        "fit_best": fitted(best[1:], start, False), "fit_trained": fitted(trained, start, True),
        "scale": (gold.std() / proxy.std(), start - gold.std() / proxy.std() * proxy.mean()),
        "lost_best": lost(best, start), "lost_trained": lost(trained, start),
    }


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--pairs", "counts", multiple=True, type=int, default=(500, 20_000))
@click.option("--set", "overrides", multiple=True, help="training.KEY=VALUE of the reward models.")
@click.option("--chart", type=click.Path(path_type=Path), help="Draw the curves into this file.")
def command(folder, counts, overrides, chart):
    """Reward models beside what is possible, and what becomes of gold as they are maximised."""
    folder.mkdir(parents=True, exist_ok=True)
    changed = dict(one.removeprefix("training.").split("=") for one in overrides)
    found = []
    for count in counts:
        one = measured(folder, count, changed)
        found.append(one)
        click.echo(
            f"{count:,} pairs: accuracy {one['accuracy']:.4f} (Bayes {one['bayes'][0]:.4f}), loss "
            f"{one['loss']:.4f} (Bayes {one['bayes'][1]:.4f}), correlation with gold "
            f"{one['correlation']:.4f}"
        )
        for said, true, of in one["calibration"]:
            click.echo(f"    says {said:.0%}, is {true:.0%} of {of:,}")
        for name in ("best", "trained"):
            fit, (kl, share) = one[f"fit_{name}"], one[f"lost_{name}"]
            end = one[name][-1]
            click.echo(
                f"    {name}: gold {one['start']:.2f} -> {max(p.gold for p in one[name]):.2f} at "
                f"KL {kl:.2f}, {end.gold:.2f} at KL {end.kl:.2f} ({share:.0%} of the gain lost); "
                f"a {fit.a:.2f}, b {fit.b:.2f}, residual {fit.residual:.2f}"
            )
    if chart is not None:
        chart.write_text(draw(found))


if __name__ == "__main__":
    command()
