"""An HTML page of results: tables with intervals, the worst items, how sure and how right.

    write_page([read("run/evaluations/text.jsonl", warn)], Path("evaluation.html"))

One file without network, script or library, in the style of a run's report
(../screens/report.py). It is made of files of results alone: of several models on one suite it puts
the numbers side by side and draws their intervals.

Read first: results.py, tables.py. Read next: card.py.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinygpt.errors import UserError
from tinygpt.evaluation import multiple_choice
from tinygpt.evaluation.intervals import Interval
from tinygpt.evaluation.results import Results, Row, short_names, shown_interval
from tinygpt.evaluation.tables import beside, rows, verdict
from tinygpt.machine.terminal import visible
from tinygpt.screens.charts import Scale, Series, chart
from tinygpt.screens.report import CSS
from tinygpt.storage.durable import replace_file
from tinygpt.storage.paths import shown

WORST = 8  # items that are shown
WIDTH = 220  # pixels of an interval's picture
STYLE = CSS + """
.numbers td,.numbers th{padding:4px 14px 4px 0;font-variant-numeric:tabular-nums}
.numbers td.n{text-align:right;white-space:nowrap}.numbers tr.first td{font-weight:600}
.numbers th.n{text-align:right}.numbers th{white-space:nowrap}
.numbers td:first-child{min-width:110px}section h3{margin:22px 0 4px}.wide{overflow-x:auto}
.bar{display:block}.bar line{stroke:var(--a);stroke-width:2}.bar circle{fill:var(--a)}
.bar .chance{fill:var(--line)}.bar .rail{stroke:var(--line);stroke-width:1}
.item{border-top:1px solid var(--line);padding:10px 0}.item:first-of-type{border-top:0}
.item pre{max-height:140px;font-size:13px}.good{color:var(--a)}.bad{color:var(--warn)}
.dot.a{fill:var(--a)}.refused{color:var(--warn);font-weight:600}
"""


def write_page(results: Sequence[Results], path: Path) -> None:
    """Raises UserError where it cannot be written."""
    try:
        replace_file(path, render(results))
    except OSError as error:
        raise UserError(
            f"cannot write {shown(path)}: {error.strerror or error}. Choose another place."
        ) from None


def render(results: Sequence[Results]) -> str:
    """The page as text."""
    names = short_names(results)
    suites = list(dict.fromkeys(one.header["suite"] for one in results))
    title = f"{', '.join(names.values())}: {len(suites)} suite{'s' * (len(suites) > 1)}"
    sections = [
        _suite(name, [one for one in results if one.header["suite"] == name], names)
        for name in suites
    ]
    intro = (
        "Between the two numbers after a value lies the truth in 95 of 100 such evaluations: they "
        "come of drawing whole documents again, for this model and no other training of its "
        "recipe. Grey is what guessing gives."
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><main><header><h1>{html.escape(title)}</h1><p>{intro}</p></header>"
        f"{''.join(sections)}</main></body></html>\n"
    )


def _suite(name: str, results: Sequence[Results], names: dict[str, str]) -> str:
    parts = [f"<h2>{html.escape(name)}</h2>", _side_by_side(results, names)]
    for one in results:
        parts.append(f"<h3>{_text(names[one.header['model']])}, {len(one.counted):,} items</h3>")
        try:
            parts.append(_numbers(rows(one)))
            said = verdict(one)
        except UserError as error:
            parts.append(f"<p class='refused'>{_text(str(error))}</p>")
            continue
        parts += [f"<p class='note-text'>{_text(sentence)}</p>" for sentence in said]
        if one.header["kind"] == "choice":
            parts.append(_calibration(one))
        parts.append(_worst(one))
    return f"<section class='card'>{''.join(parts)}</section>"


def _side_by_side(results: Sequence[Results], names: dict[str, str]) -> str:
    """Models that were asked the same: their first numbers, their intervals on one scale."""
    found = beside(results)
    firsts = [table[0] for _, table, _ in found if table]
    if not firsts:
        return ""
    top = 1.0 if firsts[0].percent else max(row.found.high for row in firsts)
    lines, notes = [], []
    for one, table, said in found:
        name = _text(names[one.header["model"]])
        value, interval = shown_interval(table[0].found, table[0].percent) if table else ("", "")
        picture = _bar(table[0].found, _chance(table), top, value) if interval else ""
        lines.append(
            f"<tr><td>{name}</td><td class='n'>{value}</td><td class='n'>{interval}</td>"
            f"<td>{picture}</td></tr>"
        )
        notes += [f"<p class='note-text'>{name}, against the first: {_text(said)}</p>"] * bool(said)
    head = (f"<tr><th></th><th class='n'>{_text(firsts[0].name)}</th><th class='n'>95 %</th>"
            "<th></th></tr>")
    return (f"<div class='wide'><table class='numbers'>{head}{''.join(lines)}</table></div>"
            + "".join(notes))


def _chance(table: Sequence[Row]) -> Interval | None:
    return next((row.found for row in table if row.name == "by chance"), None)


def _numbers(table: Sequence[Row]) -> str:
    """A table, and a picture of each interval that is on the first one's scale."""
    chance = _chance(table)
    lines = []
    for i, row in enumerate(table):
        value, interval = shown_interval(row.found, row.percent)
        picture = _bar(row.found, chance, 1.0, value) if row.percent and row.found.known else ""
        lines.append(
            f"<tr class='{'' if i else 'first'}'><td>{html.escape(row.name)}</td>"
            f"<td class='n'>{value}</td><td class='n'>{interval}</td><td>{picture}</td>"
            f"<td>{html.escape(row.note)}</td></tr>"
        )
    head = "<tr><th></th><th class='n'></th><th class='n'>95 %</th><th></th><th></th></tr>"
    return f"<div class='wide'><table class='numbers'>{head}{''.join(lines)}</table></div>"


def _bar(found: Interval, chance: Interval | None, top: float, name: str) -> str:
    """An interval on the way from 0 to `top`."""
    x = Scale(0.0, top, 2, WIDTH - 2)
    grey = ""
    if chance is not None and chance.known:
        low, high = x(chance.low), x(chance.high)
        grey = f"<rect class='chance' x='{low:.1f}' y='2' width='{high - low:.1f}' height='12'/>"
    low, middle, high = x(found.low), x(found.value), x(found.high)
    return (
        f"<svg class='bar' width='{WIDTH}' height='16' role='img' "
        f"aria-label='{name}'>{grey}"
        f"<line class='rail' x1='2' x2='{WIDTH - 2}' y1='8' y2='8'/>"
        f"<line x1='{low:.1f}' x2='{high:.1f}' y1='8' y2='8'/>"
        f"<circle cx='{middle:.1f}' cy='8' r='3.5'/></svg>"
    )


def _calibration(results: Results) -> str:
    """How often answers of like confidence are right."""
    try:
        found = multiple_choice.calibration(results.lines)
    except UserError:
        return ""
    if len(found) < 3:
        return ""
    total = sum(count for _, _, count in found)
    error = sum(abs(sure - good) * count for sure, good, count in found) / total
    sure, good = [100 * a for a, _, _ in found], [100 * b for _, b, _ in found]
    picture = chart(
        [Series("as sure as right", [0, 100], [0, 100], "raw"),
         Series("right", sure, good, "a", marks=True)],
        width=470, height=220, y_range=(0, 100), title="right, in percent, by how sure it was",
    )
    return (
        f"<h3>Right, in percent, by how sure it was</h3>{picture}<p class='note-text'>The thin "
        "line is a model that is right as often as it is sure. Mean distance from it: "
        f"{100 * error:.1f} points.</p>"
    )


def _worst(results: Results) -> str:
    """The items that went most wrong."""
    pick = {"text": _worst_text, "choice": _worst_choices, "written": _worst_written}
    items = pick[results.header["kind"]](results.counted)
    if not items:
        return ""
    return f"<details><summary>The worst items</summary>{''.join(items)}</details>"


def _worst_text(lines: Sequence[dict[str, Any]]) -> list[str]:
    def bits(line: dict[str, Any]) -> float:
        return float(line["nats"]) / math.log(2) / max(1, line["bytes"])

    return [
        f"<div class='item'>{_text(line['item'])}: {bits(line):.3f} bits per byte, "
        f"{line['bytes']:,} bytes</div>"
        for line in sorted(lines, key=bits, reverse=True)[:WORST]
    ]


def _worst_choices(lines: Sequence[dict[str, Any]]) -> list[str]:
    def gap(line: dict[str, Any]) -> float:
        scores = multiple_choice.values(line, multiple_choice.DEFAULT)
        return float(scores.max() - scores[line["right"]].max())

    wrong = [line for line in sorted(lines, key=gap, reverse=True) if gap(line) > 0]
    found = []
    for line in wrong[:WORST]:
        scores = multiple_choice.values(line, multiple_choice.DEFAULT)
        rows = "".join(
            f"<tr class='{'good' if i in line['right'] else ''}'><td>{_text(one['answer'])}</td>"
            f"<td class='n'>{one['nats']:.2f}</td><td class='n'>{scores[i]:.3f}</td></tr>"
            for i, one in enumerate(line["choices"])
        )
        found.append(
            f"<div class='item'><b>{_text(line['item'])}</b><pre>{_text(line['question'])}</pre>"
            "<table class='numbers'><tr><th>answer</th><th class='n'>log p</th><th class='n'>a byte"
            f"</th></tr>{rows}</table></div>"
        )
    return found


def _worst_written(lines: Sequence[dict[str, Any]]) -> list[str]:
    name = next(iter(lines[0]["scores"])) if lines else ""
    wrong = sorted((one for one in lines if one["scores"][name] < 1),
                   key=lambda one: one["scores"][name])
    return [
        f"<div class='item'><b>{_text(line['item'])}</b> ({line['scores'][name]:.2f})"
        f"<pre>{_text(line['prompt'][-200:])}<span class='bad'>{_text(line['written'][:200])}"
        f"</span></pre>wanted: <span class='good'>{_text(line['wanted'][0][:200])}</span></div>"
        for line in wrong[:WORST]
    ]


def _text(text: str) -> str:
    return html.escape(visible(text))


def memorised(table: Sequence[Sequence[Any]]) -> str:
    """The curve of memorisation: a page of the rows of the suite of that name.

    table: (name, value, low, high), of which "..., told N times" are drawn.
    """
    lines: dict[str, list[tuple[float, float]]] = {}
    for name, value, *_ in table:
        what, told, times = str(name).partition(", told ")
        if told:
            lines.setdefault(what, []).append((math.log2(int(times.split()[0])), 100 * value))
    series = [
        Series(name, [x for x, _ in points], [y for _, y in points], style, marks=style == "b")
        for (name, points), style in zip(lines.items(), "ab", strict=False)
    ]
    legend = " ".join(f"<i class='{one.style}'></i>{html.escape(one.name)}" for one in series)
    picture = chart(series, width=640, height=280, y_range=(0, 100), title="memorised, in percent")
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'><title>Memorised</title>"
        f"<style>{STYLE}</style></head><body><main><section class='card'><h2>Memorised, in "
        "percent, by how often it was told (2^x times)"
        f"<span class='legend'>{legend}</span></h2>{picture}"
        "</section></main></body></html>\n"
    )
