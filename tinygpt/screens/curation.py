"""An HTML page of a curation's account: the sums, what every rule measured, what each one took.

    write_page(Path("corpus"), Path("report.html"))

One file without network, script or library, in the style of a run's report (report.py). A rule is
to be believed only when one has seen what it takes: so beside twenty random documents of each fate
stand twenty that were kept, and over its limit stands the picture of all values.

Read first: ../curation/account.py. Read next: charts.py.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tinygpt.curation import Account
from tinygpt.errors import UserError
from tinygpt.machine.terminal import visible
from tinygpt.screens.charts import Scale
from tinygpt.screens.report import CSS
from tinygpt.storage.durable import replace_file
from tinygpt.storage.paths import shown

MOST = 20_000  # documents whose values are drawn, evenly spread over the corpus
BINS, HEIGHT = 40, 90  # of a picture; pixels
EDGE = 0.005  # share of the values at either end that is drawn in the last bin
EXCERPT = 320  # characters of an example
KEPT = "kept"
STYLE = CSS + """
.numbers td,.numbers th{padding:3px 14px 3px 0;font-variant-numeric:tabular-nums}
.numbers td,.numbers th{overflow-wrap:normal}.numbers .share{width:40%}
.numbers .n{text-align:right;white-space:nowrap}.wide{overflow-x:auto}
.rules{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(280px,100%),1fr))}
.rules{gap:20px 32px;margin-top:16px}
.rules figure{margin:0}.rules figcaption{font-size:13px}.rules figcaption span{color:var(--soft)}
.picture{display:block;width:100%;height:118px;margin-top:6px}
.picture .kept{fill:var(--a)}.picture .gone{fill:var(--b)}
.picture .rail{stroke:var(--line)}.picture .limit{stroke:var(--ink);stroke-dasharray:3 3}
.bar{display:block;height:8px;border-radius:2px;background:var(--b);min-width:1px}
.bar.kept{background:var(--a)}
.beside{display:grid;grid-template-columns:1fr 1fr;gap:4px 24px;margin-top:8px}
.beside h3{margin:0}.beside p{margin:0;border-top:1px solid var(--line);padding:6px 0}
.beside p{font-size:14px}
.beside p b{display:block;font-size:12px;font-weight:500;color:var(--soft)}
@media(max-width:520px){.beside{grid-template-columns:1fr}.numbers .share{display:none}
.numbers td,.numbers th{padding-right:6px;font-size:12px}}
"""


class Rule(NamedTuple):
    """A rule, its limits, and what it measured: of documents that it let pass, and that it took."""

    name: str
    least: float | None
    most: float | None
    passed: list[float]
    taken: list[float]


def write_page(corpus: Path, path: Path) -> None:
    """Raises UsageError for a folder without an account, UserError for a place not written to."""
    account = Account(corpus)
    try:
        page = render(account, shown(corpus))
    finally:
        account.close()
    try:
        replace_file(path, page)
    except OSError as error:
        raise UserError(
            f"cannot write {shown(path)}: {error.strerror or error}. Choose another place."
        ) from None


def render(account: Account, name: str) -> str:
    """The page as text; the same account is the same page."""
    balance, fates = account.balance(), account.fates()
    title = f"{name}: {balance.kept:,} of {balance.files:,} bytes kept"
    intro = (
        f"{sum(fates.values()):,} documents were found, {fates.get(KEPT, 0):,} are in the corpus. "
        "What is not was taken by one rule, the first that it failed."
    )
    cards = [
        _sums(balance, fates), _groups(account, "language"), _groups(account, "split"),
        _pictures(account), _left(account), *_examples(account, fates),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{STYLE}</style></head>\n"
        f"<body><main><header><h1>{_text(title)}</h1><p>{intro}</p></header>"
        f"{''.join(cards)}</main></body></html>\n"
    )


def _card(title: str, *parts: str) -> str:
    return f"<section class='card'><h2>{_text(title)}</h2>{''.join(parts)}</section>"


def _sums(balance: Any, fates: dict[str, int]) -> str:
    """The books, in lines that add up, each with its share of the texts' bytes."""
    whole = max(1, balance.documents)

    def line(what: str, count: int, documents: str = "", kind: str | None = None) -> str:
        bar = f"<span class='bar {kind}' style='width:{100 * abs(count) / whole:.2f}%'></span>"
        return (
            f"<tr><td>{_text(what)}</td><td class='n'>{count:,}</td><td class='n'>{documents}</td>"
            f"<td class='share'>{bar if kind is not None else ''}</td></tr>"
        )

    lines = [
        line("files", balance.files), line("refused or unread", -balance.refused),
        line("text of documents", balance.documents, f"{sum(fates.values()):,}"),
    ]
    for rule, count in balance.removed.items():
        dropped = f"{-fates[rule]:,}" if rule in fates else ""
        lines.append(line(rule, -count, dropped, ""))
    lines.append(line(KEPT, balance.kept, f"{fates.get(KEPT, 0):,}", KEPT))
    head = (
        "<tr><th>taken by</th><th class='n'>bytes</th><th class='n'>documents</th>"
        "<td class='share'></td></tr>"
    )
    return _card("The sums", f"<div class='wide'><table class='numbers' style='width:100%'>{head}"
                 f"{''.join(lines)}</table></div>")


def _groups(account: Account, column: str) -> str:
    """What was kept, by language or by split."""
    rows = account.rows(
        f"SELECT {column} AS name, COUNT(*) AS n, SUM(kept) AS b FROM documents WHERE fate = ? "
        f"GROUP BY {column} ORDER BY b DESC, name LIMIT 40", KEPT
    )
    lines = "".join(
        f"<tr><td>{_text(row['name'])}</td><td class='n'>{row['b']:,}</td>"
        f"<td class='n'>{row['n']:,}</td></tr>" for row in rows
    )
    head = f"<tr><th>{column}</th><th class='n'>bytes</th><th class='n'>documents</th></tr>"
    return _card(f"Kept, by {column}", f"<table class='numbers'>{head}{lines}</table>")


def _left(account: Account) -> str:
    """Files that nobody read, and why."""
    rows = account.rows(
        "SELECT fate, why, COUNT(*) AS n, SUM(refused) AS b, MIN(name) AS one FROM files "
        "WHERE fate <> 'read' GROUP BY fate, why ORDER BY n DESC, why LIMIT 30"
    )
    if not rows:
        return ""
    lines = "".join(
        f"<tr><td>{_text(row['fate'])}: {_text(row['why'])}</td><td class='n'>{row['n']:,}</td>"
        f"<td class='n'>{row['b']:,}</td><td>{_text(row['one'])}</td></tr>" for row in rows
    )
    head = "<tr><th>why</th><th class='n'>files</th><th class='n'>bytes</th><th>such as</th></tr>"
    return _card("Files that are in no document",
                 f"<div class='wide'><table class='numbers'>{head}{lines}</table></div>")


def rules(account: Account) -> list[Rule]:
    """The rules with their values, of at most MOST documents."""
    found = [
        Rule(row["name"], row["least"], row["most"], [], [])
        for row in account.rows("SELECT * FROM rules ORDER BY number")
    ]
    count = account.rows("SELECT COUNT(*) AS n FROM documents")[0]["n"]
    step = max(1, -(-count // MOST))
    for row in account.rows(
        "SELECT fate, measured FROM documents WHERE id % ? = 0 ORDER BY id", step
    ):
        for rule, value in zip(found, json.loads(row["measured"]), strict=False):
            if value is not None:
                (rule.taken if row["fate"] == rule.name else rule.passed).append(value)
    return found


def _pictures(account: Account) -> str:
    drawn = [picture(rule) for rule in rules(account) if rule.passed or rule.taken]
    legend = "<i class='a'></i>passed <i class='b'></i>taken"
    return (
        f"<section class='card'><h2>What each rule measured<span class='legend'>{legend}</span>"
        "</h2><p class='note-text'>Documents by their value, as high as the root of their number "
        "so that few are seen; dashed the limits. Values far out are counted at the end.</p>"
        f"<div class='rules'>{''.join(drawn)}</div></section>"
    )


def picture(rule: Rule) -> str:
    """A rule's values as a <figure>: columns of documents, those that it took above the others."""
    values = sorted(rule.passed + rule.taken)
    edge = int(EDGE * len(values))
    limits = [limit for limit in (rule.least, rule.most) if limit is not None]
    near = [limit for limit in limits if limit <= 3 * max(1e-9, values[-1 - edge])]
    low, high = min([values[edge], *near]), max([values[-1 - edge], *near])
    x = Scale(low, high, 1.0, 99.0)
    passed, taken = (_columns(some, x) for some in (rule.passed, rule.taken))
    top = max(a + b for a, b in zip(passed, taken, strict=True))
    parts = []
    for i, (a, b) in enumerate(zip(passed, taken, strict=True)):
        left, under = 1 + 98 * i / BINS, HEIGHT * math.sqrt(a / top)
        whole = HEIGHT * math.sqrt((a + b) / top)
        for kind, base, tall in (("kept", 0.0, under), ("gone", under, whole - under)):
            if tall:
                parts.append(
                    f"<rect class='{kind}' x='{left:.2f}%' y='{HEIGHT - base - tall:.1f}' "
                    f"width='{98 / BINS - 0.3:.2f}%' height='{tall:.1f}'/>"
                )
    for limit in near:
        parts.append(
            f"<line class='limit' x1='{x(limit):.2f}%' x2='{x(limit):.2f}%' y2='{HEIGHT}'/>"
        )
    for tick in x.ticks(4):
        parts.append(f"<text class='tick' x='{x(tick):.2f}%' y='{HEIGHT + 18}' "
                     f"text-anchor='middle'>{tick:g}</text>")
    told = f"took {len(rule.taken):,} of {len(values):,} documents"
    said = _limits(rule)
    return (
        f"<figure><figcaption>{_text(rule.name)} <span>{said}; {told}</span></figcaption>"
        f"<svg class='picture' role='img' aria-label='{_text(rule.name)}: {told}'>"
        f"<line class='rail' x1='1%' x2='99%' y1='{HEIGHT}' y2='{HEIGHT}'/>{''.join(parts)}"
        "</svg></figure>"
    )


def _columns(values: Sequence[float], x: Scale) -> list[int]:
    """How many values fall into each of BINS."""
    counts = [0] * BINS
    for value in values:
        at = math.floor((x(value) - 1) / 98 * BINS)
        counts[min(max(at, 0), BINS - 1)] += 1
    return counts


def _limits(rule: Rule) -> str:
    parts = [f"at least {rule.least:g}"] if rule.least is not None else []
    parts += [f"at most {rule.most:g}"] if rule.most is not None else []
    return " and ".join(parts) or "no limit"


def _examples(account: Account, fates: dict[str, int]) -> list[str]:
    """For each fate twenty random documents of it, beside twenty that were kept."""
    kept = [_example(row) for row in account.sample(KEPT)]
    cards = []
    for fate, count in fates.items():
        if fate == KEPT:
            continue
        taken = [_example(row) for row in account.sample(fate)]
        rows = "".join(
            (taken[i] if i < len(taken) else "<p></p>") + (kept[i] if i < len(kept) else "<p></p>")
            for i in range(max(len(taken), len(kept)))
        )
        what = f"Dropped by {fate}: {count:,} document{'s' * (count > 1)}"
        cards.append(_card(
            what, f"<details><summary>{len(taken)} of them, beside {len(kept)} that were kept"
            f"</summary><div class='beside'><h3>dropped by {_text(fate)}</h3><h3>kept</h3>{rows}"
            "</div></details>",
        ))
    return cards


def _example(row: dict[str, Any]) -> str:
    text = " ".join(row["excerpt"].split())
    more = " ..." if len(text) > EXCERPT else ""
    return (
        f"<p><b>{_text(row['name'])}, {row['bytes']:,} bytes</b>{_text(text[:EXCERPT])}{more}</p>"
    )


def _text(text: str) -> str:
    return html.escape(visible(text), quote=True)
