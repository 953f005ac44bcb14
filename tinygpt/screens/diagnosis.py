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
            f"too little text to measure on what was held out: {f.held_out_tokens} tokens, and a "
            f"window takes {f.window}", style="dim",
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
    top = max(f.uniform, f.val_loss) or 1.0  # of a single symbol nobody is unsure
    rows = [
        ("uniform", f.uniform, "every token alike"), ("unigram", f.unigram, "by frequency"),
        ("bigram", f.bigram, "by the token before"),
        ("this model", f.val_loss, "on held-out text"),
        ("this model", f.train_loss, "on its training text"),
    ]
    if not f.judged:
        rows.pop(3)
    for name, loss, note in rows:
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
    rows = [
        ("times the text was seen", f"{f.passes:.1f}", "1 to 20 for a small text"),
        ("held-out minus training loss", f"{f.gap:+.3f}" if f.judged else "?",
         "below a tenth of the loss"),
        ("fall over the last fifth", f"{f.still_falling:.3f}", "near 0 when done"),
        ("steps skipped, rollbacks", f"{f.skipped}, {f.rollbacks}", "0, 0"),
        ("gradients that were clipped", f"{f.clipped:.0%}", "below 50 % after warmup"),
        ("update to weight, peak rate", f"{f.update_ratio:.2%}", "0.05 to 1 %"),
        ("hidden units that never answer", f"{f.dead_units:.0%}", "below 10 %"),
        ("tokens too rare to learn", f"{f.rare_tokens:.0%}", "below 30 %"),
        ("repetition in what it writes", f"{f.repetition:.0%}",
         f"{f.text_repetition:.0%} in the text itself"),
        ("copied from the text", f"{f.copying:.0%}", "below 20 %"),
    ]
    for name, value, usual in rows:
        table.add_row(name, Text(value, style="bold"), Text(usual, style="dim"))
    return table


def _gradients(gradients: dict[str, float], block: str, cells: int) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_row(Text("gradient norm by part", style="dim"))
    top = max((g for g in gradients.values() if math.isfinite(g)), default=1.0) or 1.0
    for name, norm in gradients.items():
        share = norm / top if math.isfinite(norm) else 0.0
        table.add_row(name, f"{norm:.3g}", Text(block * max(1, round(cells * share)), style="dim"))
    return table
