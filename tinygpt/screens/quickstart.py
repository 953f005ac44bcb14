"""`tinygpt quickstart`: from nothing to a model that writes English, in about two minutes.

Everything here is made of the parts that `tinygpt train` uses; this file only chooses the settings,
explains what happens, and holds the result against models that need no network.

Read next: training/begin.py, training/trainer.py.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

import minigrad
from tinygpt.config import load_config
from tinygpt.data import Baselines, Dataset
from tinygpt.errors import UserError
from tinygpt.machine.cpu import cpu_name
from tinygpt.machine.memory import machine_bytes
from tinygpt.planning.probe import measure
from tinygpt.pretraining.config import PretrainingConfig
from tinygpt.pretraining.objective import Pretraining
from tinygpt.runs.run import check_is_free
from tinygpt.screens.live import make_view
from tinygpt.screens.report import HtmlReport
from tinygpt.training.begin import begin
from tinygpt.training.session import Session
from tinygpt.training.trainer import Trainer

PROBE_SECONDS = 4.0  # of trial steps, to learn how fast this machine is
MIN_STEPS = 50


def quickstart(out: Path, minutes: float, console: Console) -> int:
    """Run it.  out: folder for the run; minutes: of training.  Returns the exit code."""
    check_is_free(out)  # its tokens are the first thing that would be written
    say = _narrator(console)
    say("1. The machine", _machine())
    config = load_config("quickstart")
    started = time.perf_counter()
    objective = Pretraining.prepare(config, out, None)
    dataset = objective.dataset
    say("2. The text", _text(dataset, time.perf_counter() - started))
    config = _fit_to_time(objective, minutes * 60)
    session = begin(config, out)
    say("3. The model", _model(session))
    say("4. What it writes before it has learned anything", None)
    _print_sample(console, objective.write(session.model, 0))
    say("5. Training", "Loss is the surprise at the next token, in nats: lower is better.")
    outcome = Trainer(session, [make_view(console), HtmlReport()]).run()
    if outcome.interrupted:
        console.print(f"Stopped and saved. Go on:  tinygpt train --out {out} --resume")
        return 130
    say("6. What it has learned", None)
    console.print(_compare(dataset.baselines(), outcome.val_loss))
    say("7. Three things to try next", None)
    console.print(_next_commands(out), markup=False, soft_wrap=True)
    return 0


def _narrator(console: Console) -> Callable[[str, str | None], None]:
    def say(title: str, text: str | None) -> None:
        console.print(f"\n[bold]{title}[/bold]")
        if text:
            console.print(text, markup=False)

    return say


def _machine() -> str:
    report = minigrad.report()
    kernels = " + ".join(sorted(set(report["ops"].values())))
    isa = f" ({report['isa']})" if report["isa"] else ""
    memory = machine_bytes()
    size = f", {memory[1] / 2**30:.1f} GiB of memory free" if memory else ""
    return (
        f"{cpu_name()}{size}.\n"
        f"Kernels in {kernels}{isa}, {minigrad.get_num_threads()} threads. "
        "`tinygpt doctor` says why."
    )


def _text(dataset: Dataset, seconds: float) -> str:
    manifest = dataset.manifest
    characters = sum(manifest["characters"].values())
    tokens = sum(manifest["tokens"].values())
    documents = sum(manifest["documents"].values())
    return (
        f"{documents:,} stories of a small world, written here and now by tinygpt/text/stories "
        f"({characters / 1e6:.1f} million characters).\n"
        f"A tokenizer of {dataset.vocab_size:,} entries was trained on them: {tokens / 1e6:.1f} "
        f"million tokens of {characters / tokens:.1f} characters ({seconds:.0f} s for both)."
    )


def _model(session: Session) -> str:
    shape, recipe = session.config.model, session.config.training
    tokens = recipe.steps * recipe.batch_size * shape.context
    return (
        f"A GPT of {session.model.count_parameters() / 1e6:.1f} million parameters: "
        f"{shape.n_layers} layers, {shape.n_heads} heads, width {shape.d_model}, context "
        f"{shape.context} tokens.\n{recipe.steps} steps of {recipe.batch_size * shape.context:,} "
        f"tokens fit the time: {tokens / 1e6:.1f} million tokens will pass before it."
    )


def _fit_to_time(objective: Pretraining, seconds: float) -> PretrainingConfig:
    """Set training.steps to what this machine does in `seconds`, measured by a trial."""
    config, measured = objective.config, measure(objective, PROBE_SECONDS)
    if measured is None:
        raise UserError("the trial of a few steps did not survive: free some memory and try again.")
    one = config.training.accumulation * measured.pass_seconds[1] + measured.update_seconds
    steps = max(MIN_STEPS, round(seconds / one / 10) * 10)
    third, sixth = math.ceil(steps / 3), math.ceil(steps / 6)  # rounded up: the last is the end
    return config.replace(
        "training", steps=steps, warmup_steps=min(config.training.warmup_steps, steps // 10),
        eval_every=sixth, sample_every=third, checkpoint_every=third,
    )


def _print_sample(console: Console, text: str) -> None:
    console.print(Text(text, style="italic"), soft_wrap=True)


def _compare(baselines: Baselines, val_loss: float | None) -> Table:
    """The held-out loss beside three models that need no network."""
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("on stories it has never seen", no_wrap=True)
    table.add_column("loss", justify="right")
    table.add_column("as unsure as among", justify="right")
    rows = [
        ("uniform: all tokens alike", baselines.uniform),
        ("unigram: how common a token is", baselines.unigram),
        ("bigram: what the last one predicts", baselines.bigram),
    ]
    if val_loss is not None:
        rows.append(("[bold]this model[/bold]", val_loss))
    for name, loss in rows:
        table.add_row(name, f"{loss:.3f}", f"{math.exp(loss):,.1f} tokens")
    return table


def _next_commands(out: Path) -> str:
    return f"""  tinygpt generate {out} --prompt "One day, Mia found"
      let it go on from your own words
  tinygpt train --out {out} --resume --set training.steps=5000
      go on learning
  tinygpt train S --data my.txt --out my-run
      learn from your own text

The curves: {out / "report.html"} (opens in any browser, offline)
Every step: {out / "metrics.jsonl"}"""
