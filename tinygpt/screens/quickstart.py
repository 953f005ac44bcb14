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

from rich.table import Table
from rich.text import Text

import minigrad
from tinygpt.config import load_config
from tinygpt.data import Baselines, Dataset
from tinygpt.errors import UserError
from tinygpt.inference.right_answers import Score, right_answers
from tinygpt.machine.cpu import cpu_name
from tinygpt.machine.memory import machine_bytes
from tinygpt.machine.terminal import command
from tinygpt.planning.probe import measure
from tinygpt.pretraining.config import PretrainingConfig
from tinygpt.pretraining.objective import Pretraining
from tinygpt.runs.run import new_run
from tinygpt.screens.advice import generate, resume
from tinygpt.screens.console import Progress, Screen
from tinygpt.screens.live import make_view
from tinygpt.screens.report import HtmlReport
from tinygpt.text.tasks import closing
from tinygpt.training.begin import begin
from tinygpt.training.session import Session
from tinygpt.training.trainer import Trainer

PROBE_SECONDS = 4.0  # of trial steps, to learn how fast this machine is
MIN_STEPS = 50
QUESTIONS = 200  # a second or two; the share is known to within 7 points
THIS = "this model"


def quickstart(out: Path, minutes: float, screen: Screen) -> int:
    """Run it.  out: folder for the run; minutes: of training.  Returns the exit code."""
    with new_run(out):  # its tokens are the first thing that is written
        return _play(out, minutes, screen)


def _play(out: Path, minutes: float, screen: Screen) -> int:
    say = _narrator(screen)
    say("1. The machine", _machine())
    config = load_config("quickstart")
    with Progress() as busy:
        busy("writing stories")
        started = time.perf_counter()
        objective = Pretraining.prepare(config, out, busy)
        text = _text(objective.dataset, time.perf_counter() - started)
        busy.aside(lambda text: say("2. The text", text), text)
        busy("trying a few steps")
        config = _fit_to_time(objective, minutes * 60)
        busy("counting pairs of tokens")
        session = begin(config, out)
    say("3. The model", _model(session))
    say("4. What it writes before it has learned anything", None)
    screen.say(objective.write(session.model, 0), "italic")
    say("5. Training", "Loss is the surprise at the next token, in nats: lower is better.")
    outcome = Trainer(session, [make_view(screen), HtmlReport()]).run()
    if outcome.interrupted:
        screen.say("Stopped and saved. Go on:")
        screen.shell(resume(out))
        return 130
    with Progress() as busy:
        busy("counting pairs of tokens")
        baselines = objective.dataset.baselines()
        busy("asking who has what")
        score = right_answers(
            session.model, objective.dataset.tokenizer, closing.questions(QUESTIONS)
        )
    say("6. What it has learned", None)
    screen.print(_compare(baselines, outcome.val_loss))
    screen.say(_keeps_track(score))
    say("7. Three things to try next", None)
    _next_commands(screen, out)
    return 0


def _narrator(screen: Screen) -> Callable[[str, str | None], None]:
    def say(title: str, text: str | None) -> None:
        screen.say(f"\n{title}", "bold")
        if text:
            screen.say(text)

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
        f"`{command('doctor')}` says why."
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
    one = measured.step_seconds(config.training)[1]
    steps = max(MIN_STEPS, round(seconds / one / 10) * 10)
    third, sixth = math.ceil(steps / 3), math.ceil(steps / 6)  # rounded up: the last is the end
    return config.replace(
        "training", steps=steps, warmup_steps=min(config.training.warmup_steps, steps // 10),
        eval_every=sixth, sample_every=third, checkpoint_every=third,
    )


def _compare(baselines: Baselines, val_loss: float | None) -> Table:
    """The held-out loss beside three models that need no network."""
    table = Table(box=None, padding=(0, 3, 0, 0), header_style="dim")
    table.add_column("on stories it has never seen")
    table.add_column("loss", justify="right")
    table.add_column("as unsure as among", justify="right")
    rows = [
        ("uniform: all tokens alike", baselines.uniform),
        ("unigram: how common a token is", baselines.unigram),
        ("bigram: what the last one predicts", baselines.bigram),
    ]
    if val_loss is not None:
        rows.append((THIS, val_loss))
    for name, loss in rows:
        own = Text(name, style="bold" if name == THIS else "")
        table.add_row(own, f"{loss:.3f}", f"{math.exp(loss):,.1f} tokens")
    return table


def _keeps_track(score: Score) -> str:
    """The share of right answers, beside that of somebody who guesses."""
    return (
        f"{score.asked} stories that it has never seen ask at their end who has what, or where it "
        f"is.\nRight to the letter: {score.right / score.asked:.0%} of its answers "
        f"(a guess among what each story allows: {score.guessed / score.asked:.0%})."
    )


def _next_commands(screen: Screen, out: Path) -> None:
    for line, why in (
        (generate(out, "--prompt", "One day, Mia found"), "let it go on from your own words"),
        (resume(out, {"training.steps": 5000}), "go on learning"),
        (command("train", "--data", "my.txt", "--minutes", "30", "--out", "my-run"),
         "learn from your own text"),
    ):
        screen.shell(line)
        screen.say(f"    {why}", "dim")
    screen.print()
    screen.copyable(f"The curves: {out / 'report.html'} (opens in any browser, offline)")
    screen.copyable(f"Every step: {out / 'metrics.jsonl'}")
