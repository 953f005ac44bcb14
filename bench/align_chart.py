"""The figure of over-optimisation: proxy and gold against the square root of KL.

Read first: align_rewards.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

WIDTH, HEIGHT, LEFT, TOP, BOTTOM, GAP = 330, 240, 46, 46, 72, 60
LEGEND = (("gold", "gold, RL"), ("gold best", "gold, best of n"),
          ("proxy", "proxy, RL"), ("proxy best", "proxy, best of n"))
SWATCH, APART = 26, 142  # pixels: a line of the legend, and from one to the next
STYLE = """
svg{--card:#fff;--ink:#1c1d21;--soft:#6b6d76;--line:#e4e2dc;--a:#2866cf;--b:#b54a14}
@media(prefers-color-scheme:dark){svg{--card:#1c1e24;--ink:#ecedf1;--soft:#9a9da8;--line:#2e3139;
--a:#7aa8ff;--b:#ff9863}}
.page{fill:var(--card)}text{font:12px system-ui,sans-serif;fill:var(--soft)}
.title{fill:var(--ink);font-size:14px;font-weight:600}.grid{stroke:var(--line)}
.gold{stroke:var(--b)}.proxy{stroke:var(--a)}.gold,.proxy{fill:none;stroke-width:2}
.best{stroke-dasharray:5 4}
"""


def draw(found: Sequence[dict[str, Any]]) -> str:
    """An <svg> with a panel for each reward model.

    The proxy is moved and stretched to gold's mean and deviation over the policy's own answers:
    where a reward model's 0 and 1 are means nothing.
    """
    width = LEFT + len(found) * (WIDTH + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {TOP + HEIGHT + BOTTOM}" '
        f'width="{width}" role="img" aria-label="Gold and proxy reward against KL">',
        f"<style>{STYLE}</style>", '<rect class="page" width="100%" height="100%"/>',
    ]
    curves = [point for one in found for name in ("best", "trained") for point in one[name]]
    ends = math.sqrt(max(point.kl for point in curves))
    values = [point.gold for point in curves] + [
        value for one in found for name in ("best", "trained") for value in _proxy(one, name)
    ]
    low, high = min(values), max(values)
    for number, one in enumerate(found):
        parts += _panel(one, LEFT + number * (WIDTH + GAP), ends, low, high)
    y = TOP + HEIGHT + 60
    for i, (kind, text) in enumerate(LEGEND):
        x = LEFT + i * APART
        parts.append(f'<polyline class="{kind}" points="{x},{y} {x + SWATCH},{y}"/>')
        parts.append(f'<text x="{x + SWATCH + 6}" y="{y + 4}">{text}</text>')
    return "\n".join([*parts, "</svg>\n"])


def _proxy(one: dict[str, Any], name: str) -> list[float]:
    scale, shift = one["scale"]
    return [shift + scale * point.proxy for point in one[name]]


def _panel(one: dict[str, Any], left: float, ends: float, low: float, high: float) -> list[str]:
    def place(d: float, value: float) -> str:
        x = left + WIDTH * d / ends
        return f"{x:.1f},{TOP + HEIGHT * (1 - (value - low) / (high - low)):.1f}"

    parts = [f'<text class="title" x="{left}" y="20">a proxy of {one["pairs"]:,} choices</text>']
    parts.append(f'<text x="{left}" y="{TOP - 8}">reward, in points of gold</text>')
    for tick in range(math.ceil(low), math.floor(high) + 1, max(1, round((high - low) / 6))):
        x, y = place(0, tick).split(",")
        parts.append(f'<line class="grid" x1="{x}" x2="{left + WIDTH}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{left - 8}" y="{float(y) + 4}" text-anchor="end">{tick}</text>')
    for tick in range(math.floor(ends) + 1):
        x, _ = place(tick, low).split(",")
        parts.append(f'<text x="{x}" y="{TOP + HEIGHT + 18}" text-anchor="middle">{tick}</text>')
    parts.append(f'<text x="{left + WIDTH / 2}" y="{TOP + HEIGHT + 36}" text-anchor="middle">'
                 "square root of KL, nats</text>")
    for name, how in (("best", " best"), ("trained", "")):
        d = [math.sqrt(point.kl) for point in one[name]]
        for kind, values in (("gold", [p.gold for p in one[name]]), ("proxy", _proxy(one, name))):
            line = " ".join(place(*both) for both in zip(d, values, strict=True))
            parts.append(f'<polyline class="{kind}{how}" points="{line}"/>')
    return parts
