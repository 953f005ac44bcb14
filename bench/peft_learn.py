"""The family compared on one task: what each method learns, what it forgets, what it takes.

    python -m bench peft --learn FOLDER           all methods; goes on where it stands
    python -m bench peft --draw FOLDER            the table and FOLDER/peft.svg again

A small model is trained on stories. Each method, in a process of its own, teaches it to answer in
rhymed couplets (tinygpt/text/tasks/couplets.py), the same conversations for the same steps. Then
questions that were held out are asked, and other stories than it was trained on are read: how much
less well it predicts them than before is what it forgot.

Read first: peft.py.  Read next: families_chart.py, whose colours the chart has.
"""

from __future__ import annotations

import html
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from bench import timing
from bench.families_chart import STYLE
from tinygpt.screens.charts import Dots, dot_chart

ROOT = Path(__file__).resolve().parent.parent
LINES, FIGURE = "peft.jsonl", "peft.svg"
BASE = {
    "model": {"n_layers": 4, "n_heads": 4, "d_model": 96, "context": 96},
    "tokenizer": {"kind": "bpe", "vocab_size": 512},
    "data": {"source": "stories"},
    "training": {"steps": 500, "batch_size": 12, "optimizer": "muon", "lr": 1e-2,
                 "eval_every": None, "sample_every": None},
}
TASK = {
    "objective": "finetuning",
    "data": {"source": "couplets", "count": 2000, "held_out": 0.1, "packed": False},
    "training": {"steps": 450, "batch_size": 8, "eval_every": None, "sample_every": None},
}
RATE, FULL_RATE = 5e-3, 1e-3  # the few that train want larger steps
OWN_BYTES = 60_000  # of stories, told from another seed
PANELS = {
    "couplets of 100": "right", "forgotten, nats a token": "forgot",
    "values trained, % of all": "share", "peak memory, MB": "peak_mb",
    "CPU seconds a step": "seconds",
}
ROW, LEFT, PLOT, RIGHT, TOP, BOTTOM = 24, 90, 150, 34, 60, 40  # pixels


def learn(folder: Path, methods: Sequence[str], smaller: dict[str, Any] | None = None) -> None:
    """Train the base, and let every method learn, that has no line in the folder.

    smaller: settings for a trial.
    """
    folder.mkdir(parents=True, exist_ok=True)
    have = {line["method"] for line in _all_lines(folder)}
    for name in ("base", *methods):
        if name in have:
            continue
        shutil.rmtree(folder / name, ignore_errors=True)  # begun, and cut short
        spec = {"folder": str(folder), "method": name, **(smaller or {})}
        line = {**_child(spec), "commit": timing.commit()}
        with (folder / LINES).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        click.echo(json.dumps(line), err=True)


def _child(spec: dict[str, Any]) -> dict[str, Any]:
    code = "import sys, json; from bench.peft_learn import child; child(json.loads(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(spec)], cwd=ROOT, text=True, check=True,
        stdout=subprocess.PIPE,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def child(spec: dict[str, Any]) -> None:
    """Train the base, or one method beside it; the last line printed is JSON."""
    from tinygpt.config import from_dict
    from tinygpt.machine.memory import peak_bytes
    from tinygpt.training.begin import begin
    from tinygpt.training.trainer import Trainer
    from tinygpt.weights.open import open_model

    folder, method = Path(spec["folder"]), spec["method"]
    if method == "base":
        values: dict[str, Any] = {**BASE, "training": {**BASE["training"], **spec.get("base", {})}}
        Trainer(begin(from_dict(values), folder / "base")).run()
        print(json.dumps({"method": method}))
        return
    rate = FULL_RATE if method == "full" else RATE
    recipe = {**TASK["training"], "lr": rate, "min_lr": rate / 10, **spec.get("task", {})}
    config = from_dict({
        **TASK, "base": str(folder / "base"), "method": {"name": method}, "training": recipe,
    })
    session = begin(config, folder / method)
    start = time.process_time()
    Trainer(session).run()
    seconds = (time.process_time() - start) / recipe["steps"]
    peak = peak_bytes()  # before anything else is opened
    objective, model = session.objective, session.model
    score = objective.score(model)
    base, tokenizer = open_model(folder / "base")
    print(json.dumps({
        "method": method, "trained": objective.parameters,
        "share": 100 * objective.parameters / base.shape.parameters,
        "peak_mb": peak / 1e6, "seconds": seconds, "asked": score.asked,
        "right": 100 * score.right / max(1, score.asked),
        "ended": 100 * score.ended / max(1, score.asked),
        "forgot": own_loss(model, tokenizer) - own_loss(base, tokenizer),
    }))


def own_loss(model: Any, tokenizer: Any) -> float:
    """Mean loss on stories that nobody was trained on, nats a token, in the same windows for all:
    those of the method that leaves the least room."""
    from minigrad.nn import evaluating
    from tinygpt.data import evaluation_batches
    from tinygpt.text import stories

    ids = tokenizer.encode_array("\n".join(stories.generate(OWN_BYTES, np.random.default_rng(77))))
    total = count = 0.0
    with evaluating(model):
        for given, targets in evaluation_batches(ids, 16, model.shape.context - 16, None):
            total += targets.size * model.loss(given, targets).item()
            count += targets.size
    return total / count


def lines_of(folder: Path) -> list[dict[str, Any]]:
    """The results of the methods in a folder, in their order."""
    return [line for line in _all_lines(folder) if line["method"] != "base"]


def _all_lines(folder: Path) -> list[dict[str, Any]]:
    path = folder / LINES
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def show(folder: Path) -> None:
    """Print the table and draw the chart.  Raises ClickException without a line."""
    lines = lines_of(folder)
    if not lines:
        raise click.ClickException(f"no result in {folder / LINES}. Learn first: --learn {folder}.")
    click.echo(table(lines))
    (folder / FIGURE).write_text(figure(lines), encoding="utf-8")
    click.echo(f"\nchart: {folder / FIGURE}")


def table(lines: Sequence[dict[str, Any]]) -> str:
    """A row of Markdown for each method."""
    rows = ["| method | trained | of all | peak memory | CPU a step | couplets | ended | forgot |",
            "|---|---|---|---|---|---|---|---|"]
    rows += [
        f"| {one['method']} | {one['trained']:,} | {one['share']:.2f} % | "
        f"{one['peak_mb']:.0f} MB | {one['seconds']:.3f} s | {one['right']:.1f} % | "
        f"{one['ended']:.1f} % | {one['forgot']:+.3f} |" for one in lines
    ]
    return "\n".join(rows)


def figure(lines: Sequence[dict[str, Any]]) -> str:
    """An SVG file: a panel for each of PANELS, a row for each method, full fine-tuning marked."""
    height, width = ROW * len(lines), LEFT + len(PANELS) * (PLOT + RIGHT)
    parts = []
    for i, (title, key) in enumerate(PANELS.items()):
        rows = [Dots(one["method"] if not i else "", [one[key]],
                     "b" if one["method"] == "full" else "a") for one in lines]
        full = next((one[key] for one in lines if one["method"] == "full"), lines[0][key])
        plot = dot_chart(rows, at=full, width=PLOT, height=height, title=title)
        parts.append(
            f'<g transform="translate({LEFT + i * (PLOT + RIGHT)} {TOP})">'
            f'<text class="name" x="0" y="-14">{html.escape(title)}</text>{plot}</g>'
        )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {TOP + height + BOTTOM}">'
        f'<style>{STYLE}</style><rect class="page" width="100%" height="100%"/>'
        '<text class="title" x="16" y="24">Methods of fine-tuning on one task</text>'
        f'{"".join(parts)}</svg>\n'
    )
