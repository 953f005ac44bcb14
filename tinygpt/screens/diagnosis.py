"""A diagnosis as a person reads it: the numbers, what is usual, then the verdict."""

from __future__ import annotations

import math

from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tinygpt.diagnosis.verdict import Findings, Verdict
from tinygpt.machine.terminal import visible
from tinygpt.screens.advice import line_of
from tinygpt.screens.console import Screen, plain
from tinygpt.training.session import Session

BARS = 28  # cells of the longest bar, fewer where the terminal is narrow


def show(
    screen: Screen, session: Session, f: Findings, gradients: dict[str, float], verdict: Verdict
) -> None:
    """Print everything."""
    cells = max(4, min(BARS, screen.width - 52))
    block = "#" if plain(screen) else "█"
    screen.print(Text.assemble(
        "\n", (visible(str(session.run.path)), "bold"), f": step {f.step:,} of {f.steps:,}, "
        f"{f.parameters / 1e6:.2f} million parameters\n",
    ))
    screen.print(_losses(f, block, cells))
    if not f.judged:
        screen.say(
            f"too little to measure on what was held out: {f.held_out_tokens} tokens, and it takes "
            f"{f.least_held_out}", style="dim",
        )
    screen.print()
    screen.print(_signs(f))
    screen.print()
    screen.print(_gradients(gradients, block, cells))
    style = "green" if verdict.name == "healthy" else "yellow"
    text = Text.assemble(verdict.why, "\n\n", ("What to do: ", "bold"), verdict.advice)
    screen.print()
    width = min(screen.width, 90)
    screen.print(Panel(text, title=Text(verdict.name), border_style=style, width=width))
    line = line_of(verdict.action, session.run) if verdict.action else None
    if line:
        screen.print()
        screen.shell(line)


def _losses(f: Findings, block: str, cells: int) -> Table:
    table = Table.grid(padding=(0, 2))
    rows = [
        ("uniform", f.uniform, f"every {f.answer} alike"), ("unigram", f.unigram, "by frequency"),
        ("bigram", f.bigram, "by the token before"), ("base", f.base, "before it was taught"),
        ("this model", f.val_loss if f.judged else None, "on what was held out"),
        ("this model", f.train_loss, "on what it learned from"),
    ]
    # Of a single symbol nobody is unsure.
    top = max(loss for _, loss, _ in rows if loss is not None and math.isfinite(loss)) or 1.0
    for name, loss, note in rows:
        if loss is None:
            continue
        own = name == "this model"
        finite = math.isfinite(loss)
        bar = block * max(1, round(cells * loss / top)) if finite else ""
        table.add_row(
            Text(name, style="bold" if own else ""), f"{loss:.3f}",
            Text(bar, style="cyan" if own else "dim"), Text(note, style="dim"),
        )
    return table


def _signs(f: Findings) -> Table:
    table = Table.grid(padding=(0, 2))
    by_frequency = "" if f.guessed is None else f"{f.guessed:.0%} by the commonest alone"
    rows = [
        ("times the data was seen", f"{f.passes:.1f}", "1 to 20 where it is little"),
        ("held-out minus training loss", f"{f.gap:+.3f}" if f.judged else "?",
         "below a tenth of the loss"),
        ("fall over the last fifth", f"{f.still_falling:.3f}", "near 0 when done"),
        ("steps skipped, rollbacks", f"{f.skipped}, {f.rollbacks}", "0, 0"),
        ("gradients that were clipped", f"{f.clipped:.0%}", "below 50 % after warmup"),
        ("update to weight, peak rate", f"{f.update_ratio:.2%}", "0.05 to 1 %"),
        ("hidden units that never answer", _share(f.dead_units), "below 10 %"),
        ("tokens too rare to learn", _share(f.rare_tokens), "below 30 %"),
        ("held-out answers that are right", _share(f.right), by_frequency),
        ("answers that end by themselves", _share(f.ended), "above 99 %"),
        ("repetition in what it writes", _share(f.repetition),
         f"{_share(f.text_repetition)} in the text itself"),
        ("copied from the text", _share(f.copying), "below 20 %"),
    ]
    for name, value, usual in rows:
        if not value:
            continue  # does not apply
        table.add_row(name, Text(value, style="bold"), Text(usual, style="dim"))
    return table


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.0%}"


def _gradients(gradients: dict[str, float], block: str, cells: int) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row(Text("gradient norm by part", style="dim"))
    top = max((g for g in gradients.values() if math.isfinite(g)), default=1.0) or 1.0
    for name, norm in gradients.items():
        share = norm / top if math.isfinite(norm) else 0.0
        table.add_row(name, f"{norm:.3g}", Text(block * max(1, round(cells * share)), style="dim"))
    return table
