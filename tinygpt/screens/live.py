"""What the screen shows: a live panel in a terminal, plain timestamped lines anywhere else.

Both are watchers (watch.py). The panel is redrawn a few times a second by rich; a pipe, a file or
nohup gets one line every few seconds and no control codes.
"""

from __future__ import annotations

import os
import time
from collections import deque
from typing import TYPE_CHECKING

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from tinygpt.runs.metrics import StepMetrics
from tinygpt.screens.thinned import Thinned
from tinygpt.training.watch import Watcher, describe

if TYPE_CHECKING:
    from tinygpt.training.session import Session

BARS = "▁▂▃▄▅▆▇█"
PLAIN_EVERY = 10.0  # seconds between two lines when not on a terminal


class LastingConsole(Console):
    """A console whose reader may leave (a closed pipe): what trains goes on without it."""

    def on_broken_pipe(self) -> None:
        """Say nothing more, instead of rich's exit."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())  # what is still buffered goes there
        os.close(nowhere)


def make_view(console: Console | None = None) -> Watcher:
    """The panel where a person watches, plain lines where nobody does."""
    console = console or Console(highlight=False)
    return LiveView(console) if console.is_terminal else PlainView(console)


class Pace:
    """Steps per second lately, and from it the time left."""

    def __init__(self, steps: int):
        self.steps = steps
        self._marks: deque[tuple[float, int]] = deque(maxlen=50)

    def mark(self, step: int) -> None:
        """Call once after every step."""
        self._marks.append((time.monotonic(), step))

    def left(self) -> float | None:
        """Seconds until the last step, None before it can be known."""
        if len(self._marks) < 2:
            return None
        (t0, s0), (t1, s1) = self._marks[0], self._marks[-1]
        return (self.steps - s1) * (t1 - t0) / (s1 - s0) if s1 > s0 else None


class PlainView(Watcher):
    """One line every PLAIN_EVERY seconds, and one for everything worth saying."""

    def __init__(self, console: Console, every: float = PLAIN_EVERY):
        self.console, self.every = console, every
        self._next = 0.0

    def start(self, session: Session) -> None:
        self._pace = Pace(session.config.training.steps)

    def step(self, metrics: StepMetrics, val_loss: float | None) -> None:
        self._pace.mark(metrics.step)
        now = time.monotonic()
        if val_loss is None and now < self._next and metrics.step < self._pace.steps:
            return
        self._next = now + self.every
        left = self._pace.left()
        tail = f"  {duration(left)} left" if left else ""
        self._say(describe(metrics, self._pace.steps, val_loss) + tail)

    def sample(self, step: int, text: str) -> None:
        self._say(f"step {step}, the model writes:")
        self.console.print(Text(text), soft_wrap=True)

    def event(self, step: int, kind: str, text: str) -> None:
        self._say(text)

    def _say(self, text: str) -> None:
        self.console.print(f"{time.strftime('%H:%M:%S')}  {text}", markup=False, soft_wrap=True)


class LiveView(Watcher):
    """A panel: progress, losses with their curve, rate, memory, time left, the last sample."""

    def __init__(self, console: Console):
        self.console = console
        self._live: Live | None = None
        self._losses = Thinned(200)
        self._val: float | None = None
        self._sample = ""
        self._last: StepMetrics | None = None

    def start(self, session: Session) -> None:
        self._pace = Pace(session.config.training.steps)
        self._title = str(session.run.path)
        self._live = Live(console=self.console, refresh_per_second=4, get_renderable=self._draw)
        self._live.start()

    def step(self, metrics: StepMetrics, val_loss: float | None) -> None:
        self._pace.mark(metrics.step)
        self._last = metrics
        if metrics.skipped is None:
            self._losses.add(metrics.step, metrics.loss)
        if val_loss is not None:
            self._val = val_loss

    def sample(self, step: int, text: str) -> None:
        self._sample = text
        self._print(Text(f"step {step}, the model writes:", style="dim"))
        self._print(Text(text.strip("\n"), style="italic"))

    def event(self, step: int, kind: str, text: str) -> None:
        style = "yellow" if kind in ("skip", "rollback", "warning") else "dim"
        self._print(Text(text, style=style))

    def close(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _print(self, text: Text) -> None:
        self.console.print(text, soft_wrap=True)

    def _draw(self) -> Panel | Text:
        last = self._last
        if last is None:
            return Text("  warming up ...", style="dim")
        width = max(20, min(self.console.width, 100) - 6)
        left = self._pace.left()
        rows = Table.grid(padding=(0, 3))
        held_out = f"{self._val:.4f}" if self._val is not None else "not yet"
        rows.add_row("[dim]loss[/]", f"[bold]{last.loss:.4f}[/]", "[dim]held-out[/]", held_out,
                     "[dim]rate[/]", f"{last.lr:.1e}")
        rows.add_row("[dim]tokens/s[/]", f"{last.tokens_per_second:,.0f}", "[dim]memory[/]",
                     f"{last.rss_bytes / 2**20:.0f} MB", "[dim]left[/]",
                     f"[bold]{duration(left) if left is not None else '...'}[/]")
        head = _bar(last.step, self._pace.steps, width)
        curve = Text(sparkline(self._losses.y, width), style="cyan")
        return Panel(Group(head, curve, rows), title=f"training {self._title}", width=width + 6)


def _bar(step: int, steps: int, width: int) -> Text:
    label = f" {step:,} of {steps:,} steps"
    cells = max(8, width - len(label))
    full = round(cells * step / steps)
    return Text("━" * full, style="green") + Text("━" * (cells - full), style="dim") + Text(label)


def sparkline(values: list[float], width: int) -> str:
    """The values as one line of bars: the mean of each stretch, lowest to highest."""
    if not values:
        return ""
    width = min(width, len(values))
    edges = [i * len(values) // width for i in range(width + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in zip(edges, edges[1:], strict=False)]
    low, high = min(means), max(means)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((mean - low) * scale)] for mean in means)


def duration(seconds: float) -> str:
    """Seconds in words: 45 s, 3 min 05 s, 2 h 10 min, 3 days 4 h."""
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    hours, minutes = divmod(whole // 60, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} days {hours % 24} h"
