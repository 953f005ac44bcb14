"""report.html: the run on one page. No network, no library; light or dark as the reader's system.

It is written anew every minute while training (and then reloads itself), and once at the end. It
reads metrics.jsonl and samples.jsonl, so it can also be made later from any run folder, and it
keeps at most POINTS points of a curve, however long the run.

Read next: charts.py.
"""

from __future__ import annotations

import html
import itertools
import math
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tinygpt.config import find_objective
from tinygpt.errors import UserError
from tinygpt.machine.terminal import visible
from tinygpt.runs import metrics as metrics_files
from tinygpt.runs.metrics import StepMetrics, Warn
from tinygpt.runs.run import Run
from tinygpt.screens.charts import Level, Series, chart
from tinygpt.screens.live import duration
from tinygpt.screens.thinned import Thinned
from tinygpt.storage.durable import replace_file
from tinygpt.storage.paths import shown
from tinygpt.storage.reading import (
    COUNT,
    NUMBER,
    TEXT,
    FormatError,
    optional,
    read_json,
    read_lines,
)
from tinygpt.training.objective import Objective
from tinygpt.training.watch import Watcher

if TYPE_CHECKING:
    from tinygpt.training.session import Session

POINTS = 600  # of a curve
REFRESH = 60.0  # seconds between two versions while training
SUITE_CURVE = "evaluations/curve.jsonl"  # ../evaluation/watch.py
CURVE_LINE = {
    "step": COUNT, "suite": TEXT, "name": TEXT, "value": NUMBER, "low": optional(NUMBER),
    "high": optional(NUMBER),
}
CURVES = ("loss", "lr", "grad_norm", "tokens_per_second", "rss_bytes")


class HtmlReport(Watcher):
    """Keeps report.html up to date while training."""

    def start(self, session: Session) -> None:
        self._session, self._next = session, time.monotonic() + 5.0

    def step(self, metrics: StepMetrics, val_loss: float | None) -> None:
        if time.monotonic() >= self._next:
            self._write(running=True)
            self._next = time.monotonic() + REFRESH

    def event(self, step: int, kind: str, text: str) -> None:
        if kind == "warning":
            self._next = 0.0

    def close(self) -> None:
        self._write(running=False)

    def _write(self, running: bool) -> None:
        session = self._session
        try:
            page = render(session.run, session.objective, running)
            replace_file(session.run.path / "report.html", page)
        except (OSError, UserError):
            pass  # a full disk: metrics.jsonl has warned already, and holds everything


def read_baselines(run: Run) -> dict[str, float]:
    """What baselines.json of a run holds; nothing if it has none.  Raises UserError if damaged."""
    path = run.path / "baselines.json"
    if not path.exists():
        return {}
    try:
        return read_json(run.check("baselines.json"), {str: NUMBER})
    except FormatError as error:
        raise UserError(f"{path} is damaged: it {error}. Delete it to do without.") from error


def write_report(run: Run, warn: Warn | None = None) -> Path:
    """Write report.html of any run anew; returns its path.

    warn: told of damaged lines in what it is made of.
    Raises UserError if it cannot be written or a file that it is made of cannot be read.
    """
    path = run.path / "report.html"
    page = render(run, find_objective(run.config.objective)(run.config), warn=warn)
    try:
        replace_file(path, page)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}. Make room there.") from error
    return path


def render(
    run: Run, objective: Objective, running: bool = False, warn: Warn | None = None
) -> str:
    """The page as text.

    objective: of the run; its data is not needed.  warn: as write_report's.
    """
    baselines = read_baselines(run)
    data = _collect(run.path / "metrics.jsonl", warn)
    samples = _samples(run.path / "samples.jsonl", warn)
    steps = run.config.training.steps
    title = f"{shown(run.path.resolve().name)}: step {data['step']:,} of {steps:,}"
    reload = '<meta http-equiv="refresh" content="60">' if running else ""
    body = [
        _head(run, objective, data, running),
        _tiles(data, objective),
        _loss_figure(data, baselines, objective.loss_note),
        _small_figures(data),
        _suite_figure(run.path / SUITE_CURVE, warn),
        _sample_cards(samples),
        _event_list(data["events"]),
        _settings(run),
    ]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"{reload}<title>{html.escape(title)}</title><style>{CSS}</style></head>\n"
        f"<body><main>{''.join(body)}</main></body></html>\n"
    )


def _collect(path: Path, warn: Warn | None) -> dict[str, Any]:
    """Read metrics.jsonl once: curves as at most POINTS means, evaluations, events, totals."""
    curves = {name: Thinned(POINTS) for name in CURVES}
    data: dict[str, Any] = {
        "curves": curves, "val": [], "events": [], "step": 0, "tokens": 0, "seconds": 0.0,
        "logged": defaultdict(lambda: Thinned(POINTS)),
    }
    for m in metrics_files.read(path, warn):
        if "event" in m:
            data["events"].append(m)
            continue
        data["step"], data["tokens"] = m["step"], m.get("tokens", 0)
        data["seconds"] += m.get("seconds") or 0.0
        for name, curve in curves.items():
            if m.get(name) is not None:
                curve.add(m["step"], m[name])
        for name, value in metrics_files.logged_by_objective(m).items():
            data["logged"][name].add(m["step"], value)
        if m.get("val_loss") is not None:
            while data["val"] and data["val"][-1][0] >= m["step"]:
                data["val"].pop()  # a rollback: the curve goes on from there
            data["val"].append((m["step"], m["val_loss"]))
    return data


def smooth(values: Sequence[float], share: float = 0.04) -> list[float]:
    """The mean of each value's surroundings, `share` of the curve wide, narrower at the ends."""
    half = int(share * len(values) / 2)
    totals = [0.0, *itertools.accumulate(values)]
    smoothed = []
    for i in range(len(values)):
        reach = min(half, i, len(values) - 1 - i)  # symmetric, so that a slope is not shifted
        first, last = i - reach, i + reach + 1
        smoothed.append((totals[last] - totals[first]) / (last - first))
    return smoothed


def _samples(path: Path, warn: Warn | None) -> list[dict[str, Any]]:
    return [m for m in metrics_files.read(path, warn) if "text" in m]


def _head(run: Run, objective: Objective, data: dict[str, Any], running: bool) -> str:
    kind, detail = objective.describe_model()
    shape = f" ({detail})" if detail else ""
    steps = run.config.training.steps
    if running:
        state = f'<span class="live">training</span> as of {time.strftime("%d %B %Y, %H:%M")}'
    else:
        state = "complete" if data["step"] >= steps else f"stopped at step {data['step']:,}"
        state += f", {time.strftime('%d %B %Y, %H:%M')}"
    return (
        f"<header><h1>{html.escape(shown(run.path.resolve().name))}</h1>"
        f"<p class='state'>{state}</p><p>"
        f"{kind} of <b>{objective.parameters / 1e6:.2f} million parameters</b>{shape} learning "
        f"<b>{html.escape(objective.describe_data())}</b>."
        f"</p><progress aria-label='steps made' max='{steps}' "
        f"value='{data['step']}'></progress></header>"
    )


def _tiles(data: dict[str, Any], objective: Objective) -> str:
    unit = objective.loss_unit
    tiles = [("step", f"{data['step']:,}", f"{data['tokens'] / 1e6:.2f} million tokens")]
    loss = data["curves"]["loss"].y
    if loss:
        recent = loss[-max(1, len(loss) // 25) :]
        lately = f"{unit}, lately" if unit else "lately"
        tiles.append(("training loss", f"{sum(recent) / len(recent):.3f}", lately))
    if data["val"]:
        step, best = min(data["val"], key=lambda pair: pair[1])
        perplexity = f", perplexity {math.exp(min(best, 50)):.2f}" if "nats" in unit else ""
        tiles.append(("best held-out loss", f"{best:.3f}", f"at step {step:,}{perplexity}"))
    speed = data["curves"]["tokens_per_second"].y
    if speed:
        middle = sorted(speed)[len(speed) // 2]
        tiles.append(("speed", f"{middle:,.0f}", "tokens per second, median"))
        memory = max(data["curves"]["rss_bytes"].y) / 2**20
        tiles.append(("time", duration(data["seconds"]), f"of training, {memory:,.0f} MB"))
    cells = "".join(
        f"<div class='tile'><span>{name}</span><b>{value}</b><small>{note}</small></div>"
        for name, value, note in tiles
    )
    return f"<section class='tiles'>{cells}</section>"


def _loss_figure(data: dict[str, Any], baselines: dict[str, float], note: str) -> str:
    loss = data["curves"]["loss"]
    val_x, val_y = [s for s, _ in data["val"]], [v for _, v in data["val"]]
    series = [
        Series("each step", loss.x, loss.y, "raw"),
        Series("training loss", loss.x, smooth(loss.y), "a"),
        Series("held-out loss", val_x, val_y, "b", marks=True),
    ]
    levels = [Level(name, value) for name, value in baselines.items() if math.isfinite(value)]
    svg = chart(series, levels, width=960, height=400, title="loss over steps")
    if not svg:
        return "<section class='card'><p>Nothing has been measured yet.</p></section>"
    legend = "<i class='a'></i>training <i class='b'></i>held-out"
    return (
        f"<section class='card'><h2>Loss<span class='legend'>{legend}</span></h2>{svg}"
        f"<p class='note-text'>{note}</p></section>"
    )


def _small_figures(data: dict[str, Any]) -> str:
    curves = data["curves"]
    memory = [value / 2**20 for value in curves["rss_bytes"].y]
    figures = []
    logged = [(name, curve, curve.y, False) for name, curve in data["logged"].items()]
    for title, curve, values, log in (
        ("Learning rate", curves["lr"], curves["lr"].y, False),
        ("Gradient norm", curves["grad_norm"], curves["grad_norm"].y, True),
        ("Tokens per second", curves["tokens_per_second"], curves["tokens_per_second"].y, False),
        ("Memory, MB", curves["rss_bytes"], memory, False),
        *logged,
    ):
        top = max(values, default=0.0)
        y_range = None if log or not top or min(values) < 0 else (0.0, 1.08 * top)
        svg = chart([Series(title, curve.x, values, "a")], width=470, height=200, log=log,
                    y_range=y_range, title=title)
        if svg:
            figures.append(f"<div class='card'><h2>{html.escape(title)}</h2>{svg}</div>")
    return f"<section class='pair'>{''.join(figures)}</section>"


def _suite_figure(path: Path, warn: Warn | None) -> str:
    """What a suite said along the way, with the interval of each number."""
    try:
        lines = list(read_lines(path, CURVE_LINE, warn or (lambda text: None)))
    except FormatError as error:
        raise UserError(f"{path} {error}. Delete it to do without.") from error
    if not lines:
        return ""
    steps, title = [m["step"] for m in lines], f"{lines[-1]['suite']}: {lines[-1]['name']}"
    ends = [
        Series(end, steps, [m["value"] if m[end] is None else m[end] for m in lines], "raw")
        for end in ("low", "high")
    ]
    values = Series("measured", steps, [m["value"] for m in lines], "b", marks=True)
    svg = chart([*ends, values], width=960, height=240, title=title)
    note = "Thin: between them lies the truth 95 of 100 times."
    return (
        f"<section class='card'><h2>{html.escape(title)}</h2>{svg}"
        f"<p class='note-text'>{note}</p></section>"
    )


def _sample_cards(samples: list[dict[str, Any]]) -> str:
    if not samples:
        return ""
    chosen = samples if len(samples) <= 6 else [
        samples[round(i * (len(samples) - 1) / 5)] for i in range(6)
    ]
    cards = "".join(
        f"<article><h3>step {m['step']:,}</h3><pre>{_text(m['text'].strip())}</pre></article>"
        for m in chosen
    )
    heading = "<h2>What it wrote</h2>"
    return f"<section class='card'>{heading}<div class='samples'>{cards}</div></section>"


def _text(text: str) -> str:
    return html.escape(visible(text))


def _event_list(events: list[dict[str, Any]]) -> str:
    if not events:
        return ""
    rows = "".join(
        f"<li class='{html.escape(m['event'])}'><b>{m['step']:,}</b> "
        f"{_text(str(m.get('text', '')))}</li>"
        for m in events[-50:]
    )
    return f"<section class='card'><h2>What happened</h2><ul>{rows}</ul></section>"


def _settings(run: Run) -> str:
    columns = []
    for section, values in run.config.to_dict().items():
        if not isinstance(values, dict):
            continue
        rows = "".join(
            f"<tr><th scope='row'>{key}</th><td>{html.escape(str(value)[:60])}</td></tr>"
            for key, value in values.items()
        )
        columns.append(f"<table><caption>{section}</caption>{rows}</table>")
    return (
        "<details class='card'><summary>Settings</summary>"
        f"<div class='tables'>{''.join(columns)}</div></details>"
    )


CSS = """
:root{color-scheme:light dark;--page:#f6f5f2;--card:#fff;--ink:#1c1d21;--soft:#6b6d76;
--line:#e4e2dc;--a:#2866cf;--b:#b54a14;--warn:#985a08}
@media(prefers-color-scheme:dark){:root{--page:#131418;--card:#1c1e24;--ink:#ecedf1;
--soft:#9a9da8;--line:#2e3139;--a:#7aa8ff;--b:#ff9863;--warn:#f0b35a}}
*{box-sizing:border-box}body{margin:0;background:var(--page);color:var(--ink);
overflow-wrap:anywhere;font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:1000px;margin:0 auto;padding:32px 16px 64px}
h1{font-size:30px;margin:0;letter-spacing:-.02em}h2{font-size:16px;margin:0 0 8px;font-weight:600}
header p{margin:6px 0;color:var(--soft)}header b{color:var(--ink);font-weight:600}
.state{font-size:14px}.live{color:var(--a);font-weight:600}
progress{width:100%;height:6px;margin:10px 0 0;appearance:none;border:0;border-radius:3px;
overflow:hidden;background:var(--line)}progress::-webkit-progress-bar{background:var(--line)}
progress::-webkit-progress-value{background:var(--a)}progress::-moz-progress-bar{background:var(--a)}
.card,.tile{background:var(--card);border:1px solid var(--line);border-radius:10px}
.card{padding:16px 18px;margin:16px 0 0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(150px,100%),1fr));gap:12px;margin-top:20px}
.tile{padding:12px 14px}.tile span,.tile small{display:block;color:var(--soft);font-size:13px}
.tile b{font-size:25px;font-weight:600;letter-spacing:-.02em;font-variant-numeric:tabular-nums}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(340px,100%),1fr));gap:0 16px}
svg{overflow:visible}
.chart{display:block;width:calc(100% - 74px);max-height:max(170px,60vw);margin:12px 22px 28px 52px}
.grid{stroke:var(--line);stroke-width:1}
.tick,.note{fill:var(--soft);font-size:12px;font-variant-numeric:tabular-nums}
@media(max-width:520px){.spare{display:none}}
.note{paint-order:stroke;stroke:var(--card);stroke-width:4px;stroke-linejoin:round}
.level{stroke:var(--soft);stroke-width:1;stroke-dasharray:2 5}
.line{fill:none;stroke-width:2;vector-effect:non-scaling-stroke;stroke-linejoin:round;stroke-linecap:round}
.line.a{stroke:var(--a)}.line.b{stroke:var(--b)}
.line.raw{stroke:var(--a);stroke-width:1;opacity:.28}
.dot.b{fill:var(--b);stroke:var(--card);stroke-width:1.5}
.legend{float:right;font-weight:400;font-size:14px;color:var(--soft)}
.legend i{display:inline-block;width:14px;height:3px;border-radius:2px;margin:0 6px 3px 14px}
i.a{background:var(--a)}i.b{background:var(--b)}
.note-text{color:var(--soft);font-size:14px;margin:8px 0 0;max-width:70ch}
.samples{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(280px,100%),1fr));gap:16px}
h3{font-size:13px;color:var(--soft);margin:4px 0;font-weight:500}
pre{margin:0;white-space:pre-wrap;overflow-wrap:anywhere;font:14px/1.5 Georgia,serif;
max-height:260px;overflow:auto}
ul{list-style:none;margin:0;padding:0;font-size:14px}li{padding:3px 0}
li b{display:inline-block;min-width:64px;color:var(--soft);font-weight:500}
li.skip,li.rollback,li.warning{color:var(--warn)}
summary{cursor:pointer;font-weight:600}
.tables{display:flex;flex-wrap:wrap;gap:8px 36px;overflow-x:auto}
table{border-collapse:collapse;font-size:13px;align-self:start}
caption{text-align:left;font-weight:600;padding:12px 0 4px}
td,th{padding:1px 18px 1px 0;text-align:left;overflow-wrap:anywhere}
th{color:var(--soft);font-weight:400}
"""
