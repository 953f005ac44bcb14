"""What a run shows: report, charts, sparkline, TensorBoard's files, the plain and the live view."""

import io
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from tinygpt.screens import live as view
from tinygpt.screens.charts import Level, Scale, Series, chart, number
from tinygpt.screens.console import Screen
from tinygpt.screens.report import HtmlReport, smooth
from tinygpt.screens.thinned import Thinned
from tinygpt.training.begin import begin
from tinygpt.training.trainer import Trainer


def test_the_report_is_one_page_that_needs_no_network(tiny_config, tmp_path):
    config = tiny_config.replace("training", sample_every=20)
    session = begin(config, tmp_path / "run")
    session.objective.write = lambda model, step: "Once <b>upon</b> & a time"
    Trainer(session, [HtmlReport()]).run()
    page = (tmp_path / "run/report.html").read_text(encoding="utf-8")
    assert not re.search(r"https?://|<script|<link|@import|url\(", page)
    assert "prefers-color-scheme:dark" in page
    assert "http-equiv" not in page  # it no longer reloads: training is over
    assert "Once &lt;b&gt;upon&lt;/b&gt; &amp; a time" in page
    pictures = re.findall(r'<svg class="chart".*?</svg>.*?</svg>', page, re.S)
    assert len(pictures) == 5
    for picture in pictures:
        ElementTree.fromstring(picture)
    assert "bigram" in pictures[0]


def test_a_chart_draws_every_point_inside_its_frame():
    svg = chart([Series("s", range(5), [3.0, 2.0, float("nan"), 1.0, 0.5], "a")], [Level("l", 2.5)])
    points = re.search(r'points="([^"]+)"', svg).group(1).split()
    assert len(points) == 4
    for point in points:
        x, y = map(float, point.split(","))
        assert 0 <= x <= 720 and 0 <= y <= 300
    assert chart([Series("none", [], [], "a")]) == ""


@pytest.mark.parametrize(
    ("low", "high", "log"), [(0, 1, False), (1e-4, 1e-3, False), (1e-3, 50, True)]
)
def test_ticks_are_few_round_and_inside(low, high, log):
    ticks = Scale(low, high, 0, 100, log).ticks(5)
    assert 2 <= len(ticks) <= 16
    assert all(low <= tick <= high for tick in ticks)


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1500, "1.5k"), (2e6, "2M"), (3e-4, "3e-4"), (2.5, "2.5")]
)
def test_numbers_on_axes_are_short(value, text):
    assert number(value) == text


def test_a_thinned_curve_is_bounded_and_keeps_the_mean():
    curve = Thinned(100)
    for i in range(100_000):
        curve.add(i, float(i))
    assert 50 <= len(curve.x) < 200
    assert sum(curve.y) / len(curve.y) == pytest.approx(50_000, rel=0.03)


def test_a_rollback_takes_a_curve_back():
    curve = Thinned(100)
    for x, y in ((1, 5.0), (2, 4.0), (3, 9.0), (4, 9.0), (3, 3.5), (4, 3.0)):
        curve.add(x, y)
    assert (curve.x, curve.y) == ([1, 2, 3, 4], [5.0, 4.0, 3.5, 3.0])


def test_smoothing_does_not_shift_a_slope():
    line = [float(i) for i in range(200)]
    assert smooth(line, 0.1) == pytest.approx(line)


def test_a_sparkline_runs_from_high_to_low():
    line = view.sparkline([8.0, 7, 6, 5, 4, 3, 2, 1], 8)
    assert line == view.BARS[::-1]
    assert view.sparkline([], 10) == ""
    assert len(view.sparkline([1.0] * 1000, 40)) == 40


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5, "5 s"), (185, "3 min 05 s"), (7800, "2 h 10 min"), (4 * 86400 + 7200, "4 days 2 h")],
)
def test_durations_are_words(seconds, text):
    assert view.duration(seconds) == text


def test_the_plain_view_writes_lines_without_control_codes(tiny_config, tmp_path):
    screen = io.StringIO()
    watcher = view.make_view(Screen(file=screen))
    assert isinstance(watcher, view.PlainView)
    Trainer(begin(tiny_config, tmp_path / "run"), [watcher]).run()
    text = screen.getvalue()
    assert "step 40/40" in text and "val" in text
    assert "\x1b" not in text and "\r" not in text


def test_the_live_view_shows_loss_rate_memory_and_time_left(tiny_config, tmp_path):
    screen = io.StringIO()
    watcher = view.LiveView(Screen(file=screen, force_terminal=True, width=100))
    Trainer(begin(tiny_config, tmp_path / "run"), [watcher]).run()
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.getvalue())
    for word in ("40 of 40 steps", "loss", "held-out", "tokens/s", "memory", "left"):
        assert word in text


def test_tensorboards_own_reader_reads_the_scalars(tiny_config, tmp_path, recwarn):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    from tinygpt.screens.tensorboard import TensorBoard, write_events

    Trainer(begin(tiny_config, tmp_path / "run"), [TensorBoard()]).run()
    write_events(tmp_path / "run/metrics.jsonl", tmp_path / "again")
    for folder in ("run/tensorboard", "again"):
        events = EventAccumulator(str(tmp_path / folder))
        events.Reload()
        assert {"loss/train", "loss/validation", "rate"} <= set(events.Tags()["scalars"])
        losses = events.Scalars("loss/train")
        assert [event.step for event in losses] == list(range(1, 41))
        assert losses[-1].value < losses[0].value


def test_strings_are_printed_as_they_are():
    file = io.StringIO()
    screen = Screen(file=file, force_terminal=True, width=60, color_system=None)
    screen.say("[red] :smile: [/] \x1b[2J\x07")
    screen.print("[bold]x[/bold]")
    assert file.getvalue() == "[red] :smile: [/] \\x1b[2J\\x07\n[bold]x[/bold]\n"


def test_nothing_prints_but_through_the_screen():
    """rich's own Console takes "[red]" in a path for a colour."""
    root = Path(view.__file__).parents[1]
    for path in root.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if path.name != "console.py":
            assert not re.search(r"\bConsole\(|rich\.progress|\.status\(", text), path
