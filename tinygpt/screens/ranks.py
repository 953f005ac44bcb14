"""What several machines make of a plan, as a person reads it."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from tinygpt.errors import UserError
from tinygpt.planning.plan import Plan
from tinygpt.planning.ranks import MB, Link, advice, ways
from tinygpt.screens.console import Screen


def ranks_table(plan: Plan, ranks: int, link: Link) -> Table:
    """A line for one machine and for each way to divide its steps."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(f"{ranks} machines, {link.words}")
    for name in ("a step", "sends a step", "efficiency", "times one", "memory"):
        table.add_column(name, justify="right")
    assert plan.step_seconds is not None
    alone = plan.step_seconds[0]
    table.add_row("one machine", _time(alone), "", "", "", f"{plan.memory.total / MB:,.0f} MB")
    for way in ways(plan, ranks, link):
        table.add_row(
            way.name, _time(way.seconds), _bytes(way.traffic), f"{way.efficiency:.2f}",
            f"{ranks * way.efficiency:.2f}", f"{way.memory / MB:,.0f} MB",
        )
    return table


def show_ranks(screen: Screen, plan: Plan, ranks: int, link: Link) -> None:
    """Print the table and one sentence of advice.

    Raises UserError where not even one sequence could be tried.
    """
    if plan.trial is None:
        raise UserError("no step could be tried here, so that nothing is known of its time. Free "
                        "some memory, or choose a smaller model.")
    screen.say("")
    screen.print(ranks_table(plan, ranks, link))
    screen.print(Text(advice(plan, ranks, link), style="bold"))


def _time(seconds: float) -> str:
    return f"{1000 * seconds:,.0f} ms" if seconds < 10 else f"{seconds:,.1f} s"


def _bytes(count: float) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e5 else f"{count / 1e3:,.1f} kB"
