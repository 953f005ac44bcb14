"""What the screen shows: a live card in a terminal, plain timestamped lines anywhere else.

Both are watchers (watch.py). The card is redrawn a few times a second by rich; a pipe, a file,
nohup or a dumb terminal gets one line every few seconds and no control codes.

The card is never wider than NARROW columns. A terminal that is made narrower breaks the lines that
no longer fit in two, and whoever then goes up by the lines that he drew leaves half of them behind.

Read next: console.py.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.control import Control
from rich.live import Live
from rich.panel import Panel
from rich.segment import ControlType
from rich.table import Table
from rich.text import Text

from tinygpt.machine.terminal import visible
from tinygpt.runs.metrics import StepMetrics
from tinygpt.screens.console import NARROW, Screen, draws, plain
from tinygpt.screens.thinned import Thinned
from tinygpt.training.watch import Watcher, describe

if TYPE_CHECKING:
    from tinygpt.training.session import Session

BARS = "▁▂▃▄▅▆▇█"
PLAIN_BARS = "_.-=+*#@"  # for terminals without them
PLAIN_EVERY = 10.0  # seconds between two lines when not on a terminal


def make_view(screen: Screen | None = None) -> Watcher:
    """The card where a person watches, plain lines where nobody does."""
    screen = screen or Screen()
    return LiveView(screen) if draws(screen) else PlainView(screen)


class Pace:
    """Steps per second lately, and from it the time left."""

    def __init__(self, session: Session):
        self._session = session
        self._marks: deque[tuple[float, int]] = deque(maxlen=50)

    @property
    def steps(self) -> int:
        """In all; a deadline changes it."""
        return self._session.config.training.steps

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

    def __init__(self, screen: Screen, every: float = PLAIN_EVERY):
        self.screen, self.every = screen, every
        self._next = 0.0

    def start(self, session: Session) -> None:
        self._pace = Pace(session)

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
        self.screen.say(text)

    def event(self, step: int, kind: str, text: str) -> None:
        self._say(text)

    def stopping(self, text: str) -> None:
        self._say(text)

    def _say(self, text: str) -> None:
        self.screen.say(f"{time.strftime('%H:%M:%S')}  {text}")


class LiveView(Watcher):
    """A card: progress, losses and their curve, rate, memory, time left; above, what it wrote."""

    def __init__(self, screen: Screen):
        self.screen = screen
        self._live: Live | None = None
        self._losses = Thinned(200)
        self._val: float | None = None
        self._last: StepMetrics | None = None
        self._busy = self._stopping = ""
        self._drawn = 0  # columns that the card took when it was last drawn

    def start(self, session: Session) -> None:
        self._pace = Pace(session)
        self._title = session.run.path.resolve().name
        self._live = Live(
            console=self.screen, refresh_per_second=4, get_renderable=self._draw,
            redirect_stderr=self.screen.is_terminal,
        )
        self._live.start()

    def step(self, metrics: StepMetrics, val_loss: float | None) -> None:
        self._pace.mark(metrics.step)
        self._last, self._busy = metrics, ""
        if metrics.skipped is None:
            self._losses.add(metrics.step, metrics.loss)
        if val_loss is not None:
            self._val = val_loss

    def sample(self, step: int, text: str) -> None:
        self.screen.say(f"step {step}, the model writes:", "dim")
        self.screen.say(text.strip("\n"), "italic")

    def event(self, step: int, kind: str, text: str) -> None:
        self.screen.say(text, "yellow" if kind in ("skip", "rollback", "warning") else "dim")

    def busy(self, text: str) -> None:
        self._busy = text

    def stopping(self, text: str) -> None:
        self._stopping = text  # the thread that draws will show it

    def close(self) -> None:
        self._busy = self._stopping = ""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _draw(self) -> Panel | Text:
        last, width = self._last, min(NARROW, self.screen.width)
        if width < self._drawn:  # its lines are broken in two: only a clear screen mends that
            self.screen.control(_wiped(self.screen.height))
        if last is None:
            return Text(self._stopping or "warming up ...", style="dim")
        self._drawn = width
        inside = max(1, width - 4)
        ascii_only = plain(self.screen)
        head = _bar(last.step, self._pace.steps, inside, "#-" if ascii_only else "━─")
        curve = sparkline(self._losses.y, inside, PLAIN_BARS if ascii_only else BARS)
        line = Text(curve, style="cyan", no_wrap=True)
        parts: list[RenderableType] = [head, line, self._numbers(last)]
        if self._stopping:
            parts.append(Text(self._stopping, style="yellow"))
        elif self._busy:
            parts.append(Text(f"{self._busy} ...", style="dim"))
        title = Text(f"training {visible(self._title)}")
        title.truncate(max(1, width - 6), overflow="crop" if ascii_only else "ellipsis")
        return Panel(Group(*parts), title=title, width=width)

    def _numbers(self, last: StepMetrics) -> Table:
        """Six numbers in two columns, 36 cells at most; in one where there is less room."""
        left = self._pace.left()
        rows = (
            ("loss", f"{last.loss:.4f}",
             "held-out", f"{self._val:.4f}" if self._val is not None else "not yet"),
            ("rate", f"{last.lr:.1e}", "tokens/s", f"{last.tokens_per_second:,.0f}"),
            ("memory", f"{last.rss_bytes / 2**20:,.0f} MB",
             "left", duration(left) if left is not None else "..."),
        )
        table = Table.grid(padding=(0, 1, 0, 0))
        for _ in range(4):
            table.add_column(no_wrap=True, overflow="crop")
        for row in rows:
            cells = [Text(t, style="bold" if i % 2 else "dim") for i, t in enumerate(row)]
            if self.screen.width < NARROW:
                table.add_row(*cells[:2])
                table.add_row(*cells[2:])
            else:
                table.add_row(cells[0], cells[1].append(" "), *cells[2:])
        return table


def _wiped(rows: int) -> Control:
    """A clear screen, row by row: a terminal may keep what is cleared at once in its history."""
    erase = [(ControlType.ERASE_IN_LINE, 2), (ControlType.CURSOR_DOWN, 1)] * rows
    return Control(ControlType.HOME, *erase, ControlType.HOME)


def _bar(step: int, steps: int, width: int, signs: str) -> Text:
    """How far it is: full and empty cells (two signs), then the numbers, on one line."""
    label = f" {step:,} of {steps:,} steps"
    cells = max(4, width - len(label))
    full = round(cells * step / steps)
    bar = Text(signs[0] * full, style="green", no_wrap=True, overflow="crop")
    return bar.append(signs[1] * (cells - full), style="bright_black").append(label, style="none")


def sparkline(values: list[float], width: int, bars: str = BARS) -> str:
    """The values as one line of bars: the mean of each stretch, lowest to highest."""
    if not values:
        return ""
    width = min(width, len(values))
    edges = [i * len(values) // width for i in range(width + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in zip(edges, edges[1:], strict=False)]
    low, high = min(means), max(means)
    scale = (len(bars) - 1) / (high - low) if high > low else 0.0
    return "".join(bars[round((mean - low) * scale)] for mean in means)


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
