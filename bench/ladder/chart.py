"""A ladder as a bar chart in SVG, on a logarithmic scale, written by hand: no plotting library.

A logarithmic axis, because the rungs are powers of ten apart; light and dark by the viewer's
preference, because the file is opened in a browser.
"""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.ladder.runner import Ladder, Result

LEFT, WIDTH, ROW, TOP = 150, 470, 34, 64
STYLE = """
  text { font: 13px system-ui, sans-serif; fill: #1c2733 }
  .title { font-size: 16px; font-weight: 600 } .dim { fill: #6b7785; font-size: 11px }
  .in { fill: #ffffff; font-size: 11px }
  .bar { fill: #3b7dd8 } .grid { stroke: #d9dfe6 } .roof { stroke: #d0463b; stroke-width: 2 }
  .page { fill: #ffffff }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6ebf0 } .dim { fill: #93a0ae } .in { fill: #ffffff }
    .grid { stroke: #2e3a46 } .page { fill: #14191f }
  }
"""


def draw(ladder: Ladder, results: list[Result]) -> str:
    """The SVG document."""
    roof = results[0].roofline
    low = math.floor(math.log10(min(result.rate for result in results)))
    high = math.ceil(math.log10(max(roof, *(result.rate for result in results))))

    def x(value: float) -> float:
        return LEFT + WIDTH * (math.log10(value) - low) / (high - low)

    height = TOP + ROW * len(results) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {LEFT + WIDTH + 130} {height}">',
        f"<style>{STYLE}</style>",
        '<rect class="page" width="100%" height="100%"/>',
        f'<text class="title" x="16" y="28">{escape(ladder.op)}, rung by rung</text>',
        f'<text class="dim" x="16" y="46">{escape(ladder.what)}; {ladder.unit}, log scale</text>',
    ]
    bottom = TOP + ROW * len(results)
    for power in range(low, high + 1):
        at = x(10.0**power)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{bottom}"/>')
        label = f"{10.0**power:g}"
        parts.append(
            f'<text class="dim" x="{at:.1f}" y="{bottom + 16}" text-anchor="middle">{label}</text>'
        )
    for row, result in enumerate(results):
        y = TOP + ROW * row
        end = x(result.rate)
        inside = end - LEFT > 110  # a long bar holds its own label, clear of the roofline
        kind, at, anchor = ("in", end - 8, "end") if inside else ("dim", end + 6, "start")
        parts.append(
            f'<text x="{LEFT - 10}" y="{y + 21}" text-anchor="end">'
            f"{escape(result.rung.name)}</text>"
            f'<rect class="bar" x="{LEFT}" y="{y + 6}" width="{max(1.0, end - LEFT):.1f}" '
            f'height="{ROW - 12}" rx="3"><title>{escape(result.rung.idea)}</title></rect>'
            f'<text class="{kind}" x="{at:.1f}" y="{y + 21}" text-anchor="{anchor}">'
            f"{result.rate:.3g} ({100 * result.share:.2g} %)</text>"
        )
    at = x(roof)
    parts.append(f'<line class="roof" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{bottom}"/>')
    parts.append(
        f'<text class="dim" x="{at:.1f}" y="{bottom + 32}" text-anchor="middle">'
        f"roofline {roof:.0f}</text></svg>"
    )
    return "\n".join(parts) + "\n"
