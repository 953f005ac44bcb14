"""What a budget buys, as a person reads it."""

from __future__ import annotations

import math
import shlex

from rich.table import Table

from tinygpt.machine.terminal import command
from tinygpt.planning.budget import Choice, Metered, settings
from tinygpt.planning.scaling import Law
from tinygpt.screens.console import Screen
from tinygpt.screens.live import duration

BITS = math.log(2)  # nats
FAR = 10.0  # times the operations of the dearest run: beyond, a law is to be doubted


def show_budget(
    screen: Screen, found: list[Choice], law: Law, hours: float, metered: Metered,
    machines: int = 1,
) -> None:
    """Print the shapes by size, the best, its energy, and the command that trains it."""
    best = found[0]
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    last = "bits a letter" if machines == 1 else "times one"  # a row is 80 letters wide
    names = ("", "layers x width", "parameters", "tokens", "loss", "nine of ten", last)
    for name in names:
        table.add_column(name, justify="left" if not name else "right")
    for one in sorted(found, key=lambda choice: choice.parameters):
        mark = "->" if one is best else ""
        table.add_row(
            mark, f"{one.layers} x {one.width}", _millions(one.parameters), _millions(one.tokens),
            f"{one.loss:.3f}", f"{one.low:.3f} to {one.high:.3f}",
            f"{one.loss / BITS if machines == 1 else one.gain:.2f}",
            style="bold" if one is best else "",
        )
    screen.print(table)
    operations = 6.0 * best.parameters * best.tokens
    size, tokens = law.fit.optimal(operations)
    where = "here" if machines == 1 else f"on {machines} machines like this ({best.way})"
    screen.say(
        f"Best in {duration(3600 * hours)} {where}: {_millions(best.parameters)} parameters on "
        f"{_millions(best.tokens)} tokens, a loss of {best.loss:.3f} ({best.low:.3f} to "
        f"{best.high:.3f}). By the law alone, for as many operations: {_millions(size)} on "
        f"{_millions(tokens)}."
    )
    if law.operations and operations > FAR * law.operations:
        screen.say(
            f"Mind that this is {operations / law.operations:,.0f} times the work of the dearest "
            "run that the law stands on: so far out it is a line drawn on with a ruler."
        )
    if metered.watts is None:
        screen.say(f"Energy: {metered.why}.")
    else:
        kilowatt_hours = machines * metered.watts * hours / 1000
        screen.say(f"Energy: {metered.watts:.0f} W of the processor in the trial, so "
                   f"{kilowatt_hours:.2g} kWh in all.")
    sets = " ".join(f"--set {shlex.quote(text)}" for text in settings(best))
    many = f" --ranks {machines} --hosts hosts.txt" if machines > 1 else ""
    screen.shell(f"{command('train')} --data stories{many} --max-hours {hours:g} {sets}",
                 "Train it: ")


def _millions(count: float) -> str:
    return f"{count / 1e6:,.3g} M" if count < 1e9 else f"{count / 1e9:,.3g} G"
