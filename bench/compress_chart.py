"""The table and the chart of bench compress: size against quality, with the line of Pareto.

A method is on the line if no other has fewer bytes and fewer bits. The others have their place all
the same: a half of zeros is where it was, and nothing smaller.

Read first: compress.py.
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.families_chart import STYLE
from tinygpt.evaluation.intervals import difference
from tinygpt.screens.charts import Scale

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 560, 380, 70, 60, 240, 80  # pixels
NEAR = 13  # pixels between names
FAR = 1.3  # times the best bits: what is worse is named below and not drawn
Line = Mapping[str, Any]


def table(lines: Sequence[Line], times: bool = True) -> str:
    """Markdown, in the order of the methods; what is on the Pareto line in bold.

    times: with the speeds; on a busy machine they say nothing.
    """
    best = {line["name"] for line in pareto(lines)}
    whole = next((line["bytes"] for line in lines if line["name"] == "float32"), None)
    rows = [f"| method | MB | of float32 | bits per byte, 95 % | {'speed | ' * times}task |",
            f"|---|---|---|---|{'---|' * times}---|"]
    for line in lines:
        name = f"**{line['name']}**" if line["name"] in best else line["name"]
        share = f"{line['bytes'] / whole:.2f}" if whole else ""
        right = f"{line['right']:.0%}" if line["asked"] else ""
        speed = (f"{line['speed']:.2f}x" if "speed" in line else "") + " | " if times else ""
        rows.append(
            f"| {name} | {line['bytes'] / 1e6:.2f} | {share} | {line['bits']:.3f} "
            f"({line['low']:.3f}-{line['high']:.3f}) | {speed}{right} |"
        )
    return "\n".join(rows)


def taken(lines: Sequence[Line]) -> str:
    """When and how the speeds of the table were measured."""
    known = [line for line in lines if "when" in line]
    if not known:
        return "Speeds: nobody noted when they were taken. Take them again."
    loads = [line["load"] for line in known]
    return (
        "Speeds: one text, best of five rounds, in turns with the float model, whose is 1; "
        f"{min(line['when'] for line in known)} to {max(line['when'] for line in known)}, threads: "
        f"{', '.join(sorted({str(line['threads']) for line in known}))}, load, this bench "
        f"included: {min(loads):.1f} to {max(loads):.1f}."
    )


def compared(lines: Sequence[Line], pairs: Sequence[tuple[str, str]]) -> list[str]:
    """A sentence for each pair that was measured on the same pieces of text: what the latter gains.

    Pieces are drawn for both at once, so what makes one hard drops out: intervals of the table
    overlap where these are far from 0.
    """
    known = {line["name"]: np.array(line["clusters"]) for line in lines if "clusters" in line}
    said = []
    for before, after in pairs:
        if before not in known or after not in known:
            continue
        (one, sizes), (other, _) = known[before].T, known[after].T
        found = difference(one, other, sizes * math.log(2), np.random.default_rng(0)).interval
        said.append(f"{after} against {before}: {found.value:+.4f} bits per byte "
                    f"({found.low:+.4f} to {found.high:+.4f})")
    return said


def pareto(lines: Sequence[Line]) -> list[Line]:
    """Those that no other beats in bytes and bits at once, the smallest first."""
    found: list[Line] = []
    for line in sorted(lines, key=lambda one: (one["bytes"], one["bits"])):
        if not found or line["bits"] < found[-1]["bits"]:
            found.append(line)
    return found


def figure(lines: Sequence[Line]) -> str:
    """An SVG file: bytes to the right, logarithmic, bits per byte upward, names beside the dots."""
    if not lines:
        return ""
    limit = FAR * min(line["bits"] for line in lines)
    beyond = [f"{one['name']} {one['bits']:.2f}" for one in lines if one["bits"] > limit]
    lines = [line for line in lines if line["bits"] <= limit]
    sizes = [line["bytes"] / 1e6 for line in lines]
    ends = [line[key] for line in lines for key in ("bits", "low", "high")]
    low, high = float(np.nanmin(ends)), float(np.nanmax(ends))  # nan: too few pieces to tell
    room = 0.03 * (high - low or 1)
    x = Scale(0.85 * min(sizes), 1.15 * max(sizes), 0, WIDTH, log=True)
    y = Scale(low - room, high + room, HEIGHT, 0)  # intervals too stay inside
    parts = [f'<text class="title" x="0" y="-30">Bytes and quality of {len(lines)} methods</text>']
    for tick in x.ticks(6):
        parts.append(f'<line class="grid" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y2="{HEIGHT}"/>'
                     f'<text x="{x(tick):.1f}" y="{HEIGHT + 18}" text-anchor="middle">{tick:g}'
                     "</text>")
    for tick in y.ticks(6):
        parts.append(f'<line class="grid" x2="{WIDTH}" y1="{y(tick):.1f}" y2="{y(tick):.1f}"/>'
                     f'<text x="-8" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:.3g}</text>')
    parts.append(f'<text x="{WIDTH / 2}" y="{HEIGHT + 40}" text-anchor="middle">MB of the file'
                 f'</text><text x="0" y="-10">bits per byte, lower is better</text>')
    if beyond:
        parts.append(f'<text x="0" y="{HEIGHT + 60}">beyond: {html.escape(", ".join(beyond))}'
                     "</text>")
    front = pareto(lines)
    points = " ".join(f"{x(one['bytes'] / 1e6):.1f},{y(one['bits']):.1f}" for one in front)
    parts.append(f'<polyline class="front" points="{points}"/>')
    parts += _dots(lines, {one["name"] for one in front}, x, y)
    whole = f"{WIDTH + LEFT + RIGHT} {HEIGHT + TOP + BOTTOM}"
    style = STYLE + ".front{fill:none;stroke:var(--b);stroke-width:1.5}.bar{stroke:var(--soft)}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {whole}"><style>{style}</style>'
        f'<rect class="page" width="100%" height="100%"/><g transform="translate({LEFT} {TOP})">'
        f'{"".join(parts)}</g></svg>\n'
    )


def _dots(lines: Sequence[Line], front: set[str], x: Scale, y: Scale) -> list[str]:
    """Dots with their intervals, and names to the right of all, a line to each, none on another."""
    ranked = sorted(lines, key=lambda one: y(one["bits"]))
    wanted = [y(one["bits"]) for one in ranked]
    places = spread(wanted, NEAR, 0, HEIGHT)
    parts = []
    for line, place in zip(ranked, places, strict=True):
        at, level = x(line["bytes"] / 1e6), y(line["bits"])
        kind = "b" if line["name"] in front else "a"
        name = html.escape(line["name"])
        parts.append(
            f'<line class="bar" x1="{at:.1f}" x2="{at:.1f}" y1="{y(line["low"]):.1f}" '
            f'y2="{y(line["high"]):.1f}" opacity="0.35"/>'
            f'<polyline class="grid" fill="none" points="{at:.1f},{level:.1f} {WIDTH + 6},'
            f'{place:.1f}"/><circle class="dot {kind}" cx="{at:.1f}" cy="{level:.1f}" r="4">'
            f'<title>{name}: {line["bits"]:.4f}</title></circle>'
            f'<text class="name" x="{WIDTH + 10}" y="{place + 4:.1f}">{name}</text>'
        )
    return parts


def spread(wanted: Sequence[float], apart: float, low: float, high: float) -> list[float]:
    """Places in the order of `wanted` (sorted), each `apart` from the last at least."""
    places: list[float] = []
    for want in wanted:
        places.append(max(want, places[-1] + apart if places else low))
    over = max(0.0, places[-1] - high)
    for i in range(len(places) - 1, -1, -1):
        ceiling = high if i == len(places) - 1 else places[i + 1] - apart
        places[i] = min(places[i], ceiling) if over else places[i]
    return places
