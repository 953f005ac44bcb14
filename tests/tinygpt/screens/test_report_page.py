"""The report as a browser shows it: on a phone of 390 pixels and on a wide screen."""

import html
import json
import re
import shutil
import subprocess

import pytest

from tinygpt.screens.report import CSS, HtmlReport
from tinygpt.training.begin import begin
from tinygpt.training.trainer import Trainer

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))),
                None)
LONG = "a" * 300  # a word, a path or a setting that has no place to be broken
# A page with the report in frames of some widths; it writes what it measured into its title.
MEASURE = """<!doctype html><title></title>{frames}<script>
const measure = (frame) => {{
  const inner = frame.contentDocument;
  inner.querySelectorAll("details").forEach(d => d.open = true);
  const texts = [...inner.querySelectorAll("text, p, td, th, li, small, span, pre, h1, h2, h3")];
  const shown = texts.filter(t => t.textContent.trim() && t.getBoundingClientRect().width > 0);
  const size = t => parseFloat(getComputedStyle(t).fontSize)
    * (t.getScreenCTM ? t.getScreenCTM().a : 1);
  const charts = [...inner.querySelectorAll(".chart")];
  const ticks = charts.map(c => [...c.querySelectorAll(".tick")]
    .map(t => t.getBoundingClientRect()).filter(r => r.width > 0));
  const crossed = ticks.flatMap(rs => rs.flatMap((r, i) => rs.slice(i + 1).filter(o =>
    r.left < o.right && o.left < r.right && r.top + 3 < o.bottom && o.top + 3 < r.bottom)));
  return {{
    scroll: inner.documentElement.scrollWidth, smallest: Math.min(...shown.map(size)),
    crossed: crossed.length, charts: charts.map(c => c.getBoundingClientRect().width),
  }};
}};
onload = () => document.title =
  JSON.stringify([...document.querySelectorAll("iframe")].map(measure));
</script>"""
FRAME = '<iframe style="width:{width}px;height:800px;border:0" srcdoc="{page}"></iframe>'
WIDTHS = (320, 390, 1280)


@pytest.fixture(scope="module")
def page(tmp_path_factory, tiny_text):
    """The report of a tiny run that has samples, warnings and long words."""
    from tinygpt.config import from_dict

    config = from_dict({
        "model": {"n_layers": 1, "n_heads": 1, "d_model": 16, "context": 16},
        "data": {"source": str(tiny_text)},
        "training": {"steps": 30, "batch_size": 2, "eval_every": 10, "sample_every": 15},
    })
    folder = tmp_path_factory.mktemp("report") / "run"
    session = begin(config, folder)
    session.objective.write = lambda model, step: f"{LONG} \x1b[31m <b>red</b>"
    trainer = Trainer(session, [HtmlReport()])
    trainer._warn(f"cannot write /{LONG}")
    trainer.run()
    return (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt install chromium")
def test_in_a_browser_nothing_is_cut_off_small_or_crossed(page, tmp_path):
    frames = "".join(FRAME.format(width=w, page=html.escape(page)) for w in WIDTHS)
    (tmp_path / "frames.html").write_text(MEASURE.format(frames=frames), encoding="utf-8")
    dumped = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,900",
         f"--user-data-dir={tmp_path}", "--virtual-time-budget=4000", "--dump-dom",
         (tmp_path / "frames.html").as_uri()],
        capture_output=True, text=True, check=True, timeout=120,
    ).stdout
    found = json.loads(html.unescape(re.search(r"<title>(\[.*?\])</title>", dumped)[1]))
    for width, one in zip(WIDTHS, found, strict=True):
        assert one["scroll"] <= width
        assert one["smallest"] >= 11
        assert one["crossed"] == 0
        assert len(one["charts"]) == 5 and min(one["charts"]) > width / 4


def test_who_cannot_see_it_can_read_it(page):
    assert page.startswith('<!doctype html>\n<html lang="en">')
    assert re.search(r"<title>run: step 30 of 30</title>", page)
    names = re.findall(r'<svg class="chart"[^>]* role="img" aria-label="([^"]+)"', page)
    assert len(names) == 5
    assert re.match(r"loss over steps: training loss from \S+ to \S+; held-out loss from", names[0])
    assert re.search(r"<progress aria-label=", page)
    assert page.count("<th scope='row'>") > 20
    assert "\x1b" not in page and r"\x1b[31m &lt;b&gt;red" in page


@pytest.mark.parametrize("mode", [0, 1], ids=["light", "dark"])
def test_its_colours_can_be_told_apart(mode):
    """WCAG 2.2: 4.5 to 1 for text, 3 to 1 for the lines of a chart."""
    colours = dict(re.findall(r"--(\w+):(#\w+)", re.findall(r":root\{(.*?)\}", CSS, re.S)[mode]))
    for ground in ("card", "page"):
        for name in ("ink", "soft", "a", "b", "warn"):
            assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)


def contrast(one, other):
    """(L1 + 0.05) / (L2 + 0.05) of two colours, L their relative luminances."""
    dark, light = sorted(map(luminance, (one, other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour):
    digits = colour[1:] if len(colour) == 7 else "".join(2 * c for c in colour[1:])
    shares = [int(digits[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = [s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
