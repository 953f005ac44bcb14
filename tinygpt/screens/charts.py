"""Line charts as inline SVG text: no library, no script, colours from the page's CSS variables.

    chart([Series("training", steps, losses, "a")], title="loss over steps")

A chart is as wide as its place. Its lines are stretched with it (a nested <svg> without an aspect
ratio), while letters, dots and strokes keep their size: places are shares of the whole, sizes are
pixels. So the same chart is legible on a phone and on a wide screen.

Read next: report.py, the page they stand on.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# The page's CSS leaves margins around the frame: 52 px to the left, 22 right, 12 above, 28 below.


@dataclass(frozen=True)
class Series:
    """One line.  x, y: same length.  style: CSS class; marks: a dot at every point."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    style: str
    marks: bool = False


@dataclass(frozen=True)
class Dots:
    """A named row of values on a common axis.  style: CSS class."""

    name: str
    values: Sequence[float]
    style: str


@dataclass(frozen=True)
class Level:
    """A horizontal reference line with its name."""

    name: str
    y: float


class Scale:
    """Numbers of a range to pixels, linear or logarithmic."""

    def __init__(self, low: float, high: float, start: float, end: float, log: bool = False):
        if not high > low:
            high = low + (abs(low) * 0.1 or 1.0)
        self.log, self.low, self.high = log, low, high
        self._start, self._end = start, end

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        if self.log:
            value, low, high = math.log(max(value, 1e-30)), math.log(low), math.log(high)
        share = (value - low) / (high - low)
        return self._start + min(max(share, -0.05), 1.05) * (self._end - self._start)

    def ticks(self, count: int) -> list[float]:
        """About `count` round numbers inside the range."""
        if self.log:
            first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
            steps = (1, 2, 5) if last - first <= 3 else (1,)
            found = [k * 10.0**e for e in range(first, last + 1) for k in steps]
            return [tick for tick in found if self.low <= tick <= self.high]
        rough = (self.high - self.low) / count
        unit = 10 ** math.floor(math.log10(rough))
        step = min((k * unit for k in (1, 2, 2.5, 5, 10)), key=lambda s: abs(s - rough))
        first = math.ceil(self.low / step - 1e-9)
        return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


def chart(
    series: Sequence[Series],
    levels: Sequence[Level] = (),
    *,
    width: int = 720,
    height: int = 300,
    log: bool = False,
    y_range: tuple[float, float] | None = None,
    title: str = "",
) -> str:
    """An <svg> of the series over a shared x axis (training steps).

    width, height: of the frame's own coordinates, and its height on the page in pixels at most.
    log: logarithmic y axis.  y_range: its ends; by default what the series cover.
    Returns "" when there is nothing to draw.
    """
    series = [s for s in series if len(s.x)]
    if not series:
        return ""
    low, high = y_range or _range([v for s in series for v in s.y] + [lv.y for lv in levels], log)
    x = Scale(min(s.x[0] for s in series), max(s.x[-1] for s in series), 0, width)
    y = Scale(low, high, height, 0, log)
    across, down = _share(x, width), _share(y, height)
    shown = [level for level in levels if low <= level.y <= high]
    parts = [
        f'<svg class="chart" style="height:{height}px" role="img" '
        f'aria-label="{html.escape(_spoken(title, series))}">',
        *_grid(x, y, across, down, 6 if width > 500 else 4),
        *(_level_line(level, down) for level in shown),
        f'<svg viewBox="0 0 {width} {height}" preserveAspectRatio="none">',
        *(_line(s, x, y) for s in series),
        "</svg>",
        *(_dots(s, across, down) for s in series if s.marks),
        *(_level_name(level, down) for level in shown),
        "</svg>",
    ]
    return "".join(parts)


def dot_chart(
    rows: Sequence[Dots], at: float, *, width: int = 560, height: int = 300, title: str = ""
) -> str:
    """An <svg> of rows one below the other, a dot for each value and a stroke at their mean.

    at: a vertical line for comparison.  width, height: in pixels; names stand to the left of it.
    Returns "" when there is nothing to draw.
    """
    rows = [row for row in rows if any(map(math.isfinite, row.values))]
    if not rows:
        return ""
    x = Scale(*_range([v for row in rows for v in row.values] + [at], log=False), 0, width)
    told = "; ".join(f"{row.name} {number(_mean(row.values))}" for row in rows)
    across, step = _share(x, width), 100 / len(rows)
    parts = [
        f'<svg class="chart" width="{width}" height="{height}" overflow="visible" role="img" '
        f'aria-label="{html.escape(f"{title}: {told}")}">'
    ]
    for tick in x.ticks(6):
        parts.append(f'<line class="grid" x1="{across(tick)}" x2="{across(tick)}" y2="100%"/>')
        parts.append(_tick(across(tick), "100%", 'dy="20" text-anchor="middle"', tick))
    parts.append(f'<line class="level" x1="{across(at)}" x2="{across(at)}" y2="100%"/>')
    for i, row in enumerate(rows):
        parts += _dot_row(row, across, (i + 0.5) * step)
    return "".join(parts) + "</svg>"


def _dot_row(row: Dots, across: Callable[[float], str], middle: float) -> list[str]:
    """middle: of the row, in percent of the chart's height."""
    y, mean = f"{middle:.2f}%", across(_mean(row.values))
    found = [v for v in row.values if math.isfinite(v)]
    return [
        f'<text class="name" x="-10" y="{y}" dy="4" text-anchor="end">{html.escape(row.name)}'
        "</text>",
        f'<rect class="mean" x="{mean}" y="{y}" width="2" height="14" '
        'transform="translate(-1 -7)"/>',
        *(f'<circle class="dot {row.style}" cx="{across(v)}" cy="{y}" r="3.5"><title>'
          f"{html.escape(row.name)}: {v:.4f}</title></circle>" for v in found),
    ]


def _mean(values: Sequence[float]) -> float:
    found = [v for v in values if math.isfinite(v)]
    return sum(found) / len(found)


def _share(scale: Scale, size: int) -> Callable[[float], str]:
    """A value's place as a share of the frame, in percent."""
    return lambda value: f"{100 * scale(value) / size:.2f}%"


def _spoken(title: str, series: Sequence[Series]) -> str:
    """The chart in a sentence, for who cannot see it."""
    told = [
        f"{s.name} from {number(s.y[0])} to {number(s.y[-1])}" for s in series if s.style != "raw"
    ]
    return f"{title}: {'; '.join(told)}" if title else "; ".join(told)


def _range(values: Sequence[float], log: bool) -> tuple[float, float]:
    finite = [v for v in values if math.isfinite(v) and (v > 0 or not log)]
    if not finite:
        return (0.1, 1.0) if log else (0.0, 1.0)
    low, high = min(finite), max(finite)
    if log:
        return low / 1.15, high * 1.15
    pad = 0.06 * (high - low) or abs(high) * 0.05 or 1.0
    return low - pad, high + pad


def _grid(
    x: Scale, y: Scale, across: Callable[[float], str], down: Callable[[float], str], count: int
) -> list[str]:
    parts = []
    for tick in y.ticks(5):
        at = down(tick)
        parts.append(f'<line class="grid" x1="0" x2="100%" y1="{at}" y2="{at}"/>')
        parts.append(_tick("-8", at, 'dy="4" text-anchor="end"', tick))
    ticks = x.ticks(count)
    for i, tick in enumerate(ticks):  # every other one stays away where there is little room
        spare = " spare" if len(ticks) > 5 and (len(ticks) - i) % 2 == 0 else ""
        place = 'dy="20" text-anchor="middle"'
        parts.append(_tick(across(tick), "100%", place, tick, f"tick{spare}"))
    return parts


def _tick(x: str, y: str, place: str, value: float, style: str = "tick") -> str:
    return f'<text class="{style}" x="{x}" y="{y}" {place}>{number(value)}</text>'


def _level_line(level: Level, down: Callable[[float], str]) -> str:
    at = down(level.y)
    return f'<line class="level" x1="0" x2="100%" y1="{at}" y2="{at}"/>'


def _level_name(level: Level, down: Callable[[float], str]) -> str:
    place = f'x="100%" y="{down(level.y)}" dy="-5" text-anchor="end"'
    return f'<text class="note" {place}>{html.escape(level.name)} {level.y:.2f}</text>'


def _line(series: Series, x: Scale, y: Scale) -> str:
    points = (
        f"{x(a):.1f},{y(b):.1f}"
        for a, b in zip(series.x, series.y, strict=True)
        if math.isfinite(b)
    )
    return f'<polyline class="line {series.style}" points="{" ".join(points)}"/>'


def _dots(series: Series, across: Callable[[float], str], down: Callable[[float], str]) -> str:
    return "".join(
        f'<circle class="dot {series.style}" cx="{across(a)}" cy="{down(b)}" r="3"><title>'
        f"{html.escape(f'{series.name} at step {number(a)}: {b:.4f}')}</title></circle>"
        for a, b in zip(series.x, series.y, strict=True)
        if math.isfinite(b)
    )


def number(value: float) -> str:
    """A short form for an axis: 1500 -> 1.5k, 0.0003 -> 3e-4."""
    if value == 0:
        return "0"
    size = abs(value)
    for limit, suffix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size >= limit:
            return f"{value / limit:.4g}{suffix}"
    if size < 1e-2:
        mantissa, exponent = f"{value:.1e}".split("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    return f"{value:.4g}"
