"""What bench families draws and prints of its lines.

Read first: families.py.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.timing import spread
from tinygpt.screens.charts import Dots, dot_chart

DEFAULT = "default"
ROW, LEFT, RIGHT, TOP, BOTTOM, PLOT = 22, 144, 60, 70, 40, 230  # pixels of a panel

STYLE = """
svg{--card:#fff;--ink:#1c1d21;--soft:#6b6d76;--line:#e4e2dc;--a:#2866cf;--b:#b54a14}
@media(prefers-color-scheme:dark){svg{--card:#1c1e24;--ink:#ecedf1;--soft:#9a9da8;--line:#2e3139;
--a:#7aa8ff;--b:#ff9863}}
.page{fill:var(--card)}text{font:12px system-ui,sans-serif;fill:var(--soft)}
.name,.title{fill:var(--ink)}.title{font-size:15px;font-weight:600}
.grid{stroke:var(--line)}.level{stroke:var(--soft);stroke-dasharray:2 5}
.mean{fill:var(--soft)}.dot.a{fill:var(--a)}.dot.b{fill:var(--b)}
"""


@dataclass
class Result:
    """Of one switch.  losses: of each seed, nats a token.  ms: of a step, median of each seed."""

    name: str
    parameters: int = 0
    losses: list[float] = field(default_factory=list)
    ms: list[float] = field(default_factory=list)
    tokens: int = 0  # that each training saw

    @property
    def loss(self) -> float:
        return float(np.mean(self.losses))


def results_of(lines: Sequence[Mapping[str, Any]]) -> dict[str, list[Result]]:
    """Size -> its results in the order of their first lines, the default first.

    Of a job that has several lines the last counts. Raises ValueError for sizes trained unequally
    long, or without their default.
    """
    last = {(line["size"], line["name"], line["seed"]): line for line in lines}
    found: dict[str, dict[str, Result]] = {}
    for (size, name, _), line in last.items():
        result = found.setdefault(size, {}).setdefault(name, Result(name))
        result.parameters, result.tokens = line["parameters"], line["tokens"]
        result.losses.append(math.nan if line["loss"] is None else line["loss"])
        result.ms.append(line["ms"])
    for size, results in found.items():
        budgets = sorted({line["tokens"] for line in last.values() if line["size"] == size})
        if len(budgets) > 1:
            raise ValueError(
                f"{size} was trained on {budgets[0]:,} tokens and on {budgets[-1]:,}: no equal "
                "budgets. Use another folder for another number of steps."
            )
        if DEFAULT not in results:
            raise ValueError(f"{size} has no line of {DEFAULT!r} to compare with. Train it.")
    return {
        size: sorted(results.values(), key=lambda r: r.name != DEFAULT)
        for size, results in sorted(found.items(), reverse=True)  # S before M
    }


def slower(result: Result, usual: Result) -> list[float]:
    """Of each seed, times the default's step: its median over all seeds."""
    return [ms / spread(usual.ms).median for ms in result.ms]


def table(results: Sequence[Result]) -> str:
    """A line for each switch, in their order."""
    usual = results[0]
    width = max(len(r.name) for r in results)
    lines = [f"{'':{width}}    loss  seeds' range   against  parameters  time of a step"]
    for r in results:
        lines.append(
            f"{r.name:{width}}  {r.loss:6.4f}  {min(r.losses):6.4f}-{max(r.losses):6.4f}  "
            f"{r.loss - usual.loss:+8.4f}  {r.parameters:10,}  {spread(slower(r, usual))}"
        )
    return "\n".join(lines)


def figure(results: Mapping[str, Sequence[Result]], times: bool = True) -> str:
    """An SVG file: a panel for each size, the losses of all seeds, best above, default marked.

    times: beside each its step's time; on a busy machine that says nothing.
    """
    step = LEFT + PLOT + RIGHT
    width = 16 + step * len(results)
    height = TOP + ROW * max(len(found) for found in results.values()) + BOTTOM
    panels = [
        f'<g transform="translate({16 + step * i} 0)">{panel(size, found, times)}</g>'
        for i, (size, found) in enumerate(results.items())
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">'
        f'<style>{STYLE}</style><rect class="page" width="100%" height="100%"/>'
        f'{"".join(panels)}</svg>\n'
    )


def panel(size: str, results: Sequence[Result], timed: bool) -> str:
    """One size, `LEFT + PLOT + RIGHT` wide: names, losses, if `timed` times the usual step."""
    usual, shown = results[0], [r for r in results if np.isfinite(r.losses).any()]
    ranked = sorted(shown, key=lambda r: np.nanmean(r.losses))
    rows = [Dots(r.name, r.losses, "b" if r.name == DEFAULT else "a") for r in ranked]
    title = html.escape(f"{size}: loss after {usual.tokens:,} tokens")
    plot = dot_chart(rows, at=usual.loss, width=PLOT, height=ROW * len(rows), title=title)
    times = [
        f'<text class="time" x="{PLOT + RIGHT - 14}" y="{ROW * i + ROW / 2 + 4}" text-anchor="end">'
        f"{spread(slower(r, usual)).median:.2f}</text>"
        for i, r in enumerate(ranked if timed else ())
    ]
    end = LEFT + PLOT + RIGHT - 14
    heading = f'<text x="{end}" y="{TOP - 12}" text-anchor="end">step time</text>'
    return (
        f'<text class="title" x="0" y="26">{title}</text>{heading if timed else ""}'
        f'<g transform="translate({LEFT} {TOP})">{plot}{"".join(times)}</g>'
    )
