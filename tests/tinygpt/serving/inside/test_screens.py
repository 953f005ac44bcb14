"""The screens in a real browser: each draws, by keyboard too, offline, and without a fault."""

import json
import os
from pathlib import Path
from urllib.parse import urlencode
from xml.etree import ElementTree

import pytest

import tinygpt
from tests.tinygpt.serving.browser import CHROMIUM
from tests.tinygpt.serving.conftest import Room, make_served
from tests.tinygpt.serving.inside.test_kinds import make_kind
from tests.tinygpt.serving.inside.test_runs import SMALL
from tests.tinygpt.serving.test_page import HOSTILE
from tinygpt.serving.pages import FOLDER, files
from tinygpt.serving.served import Served

ROOT = Path(__file__).parents[4]
SCREENS = ("tour", "write", "tokens", "next", "attention", "lens", "embeddings", "weights", "gaps",
           "training")
AXE = Path(os.environ.get("TINYGPT_AXE", "axe.min.js"))
DONE = ("document.querySelector('#busy').textContent.startsWith('Made')"
        " && !document.querySelector('#notice').textContent")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt install chromium")


def test_all_pages_together_are_small():
    sizes = [len(file.packed) for file in files().values()]
    assert sum(sizes) < 40_000
    assert {f"/page/see_{name}.js" for name in SCREENS} <= set(files())
    names = {path.name for path in FOLDER.iterdir()}
    assert {"look.html", "look.css", "look.js", "draw.js", "place.js", "unlock.js"} <= names


@pytest.fixture(scope="module")
def looked(tiny_text, tmp_path_factory):
    folder = tmp_path_factory.mktemp("looked") / "run"
    tinygpt.train("S", folder, [
        f"data.source={tiny_text}", *SMALL, "training.steps=20", "training.eval_every=10",
        "training.sample_every=10", "training.history_every=10",
    ])
    run, = Served.open(str(folder), lambda text: None, {})
    found = Room([make_served("a"), make_kind("bert"), run], train=True)
    yield found
    found.stop()


def go(browser, room, screen, **more):
    """A screen, drawn."""
    browser.open("about:blank")
    browser.events.clear()
    browser.open(f"{room.url}/look#{urlencode({'screen': screen, **more})}")
    browser.until(DONE)


def faults(browser, room):
    """What the browser complained of, and what was asked elsewhere."""
    asked = [one["request"]["url"] for one in browser.told("Network.requestWillBeSent")]
    return [
        *(url for url in asked if not url.startswith((room.url, "about:", "blob:"))),
        *(one["entry"]["text"] for one in browser.told("Log.entryAdded")),
        *(str(one["exceptionDetails"]) for one in browser.told("Runtime.exceptionThrown")),
    ]


@needs_browser
@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("model", ("a", "run"))
def test_a_screen_draws_without_a_fault(browser, looked, screen, model):
    go(browser, looked, screen, model=model, text="The cat" if model == "a" else "the cat sat")
    browser.until("document.querySelector('#screen').textContent.length > 30")
    assert browser.run("document.querySelector('nav [aria-current]').dataset.screen") == screen
    assert faults(browser, looked) == []


@needs_browser
@pytest.mark.skipif(not AXE.is_file(), reason="no axe-core: TINYGPT_AXE=axe.min.js (npm pack)")
@pytest.mark.parametrize("width", (360, 1280))
@pytest.mark.parametrize("scheme", ("light", "dark"))
@pytest.mark.parametrize("screen", SCREENS)
def test_axe_finds_nothing(browser, looked, screen, scheme, width):
    browser.do("Emulation.setDeviceMetricsOverride", width=width, height=740, deviceScaleFactor=1,
               mobile=width < 500)
    browser.do("Emulation.setEmulatedMedia",
               features=[{"name": "prefers-color-scheme", "value": scheme}])
    go(browser, looked, screen, model="run", text="the cat sat", off="0.0", head="0.1")
    browser.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    browser.run(AXE.read_text(encoding="utf-8") + "; 0")
    found = browser.run("axe.run().then((r) => r.violations.map((v) => [v.id, v.nodes[0].html]))")
    assert found == []
    assert browser.run("document.documentElement.scrollWidth - innerWidth") <= 0


@needs_browser
def test_on_a_phone_a_number_stands_beside_its_bar(browser, looked):
    browser.do("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=1,
               mobile=True)
    go(browser, looked, "lens", model="run", text="the cat sat")
    rows = browser.run("""[...document.querySelectorAll(".bars .line")].map((line) =>
      [line.children[1], line.children[2]].map((e) => e.getBoundingClientRect())
        .map(({ top, bottom, left }) => [(top + bottom) / 2, left]))""")
    assert len(rows) > 10
    assert all(abs(bar[0] - number[0]) < 4 and bar[1] < number[1] for bar, number in rows)
    browser.do("Emulation.clearDeviceMetricsOverride")


@needs_browser
def test_the_slider_drives_every_screen(browser, looked):
    go(browser, looked, "next", model="run", text="the cat sat")
    words = "document.querySelector('#screen p').textContent"
    late = browser.run(words)
    assert browser.run("document.querySelector('#step').dataset.steps") == "0,10,20"
    browser.run("document.querySelector('#step').focus()")
    browser.press("Home")
    browser.until(f"location.hash.includes('step=0') && {DONE} && {words} != {json.dumps(late)}")
    browser.run("document.querySelector('#screens [data-screen=lens]').click()")
    browser.until("document.title.startsWith('Lens') && document.querySelector('.lens') !== null")
    assert "step=0" in browser.run("location.hash")
    assert faults(browser, looked) == []


@needs_browser
def test_two_models_stand_side_by_side(browser, looked):
    go(browser, looked, "next", model="run", text="the cat sat", beside="run@0")
    assert browser.run("document.querySelectorAll('#screen > section').length") == 2
    heads = browser.run("[...document.querySelectorAll('#screen h3')].map((e) => e.textContent)")
    assert heads[:1] == ["run"] and "run, step 0" in heads


@needs_browser
def test_a_head_is_chosen_read_and_switched_off_by_keyboard(browser, looked):
    go(browser, looked, "attention", model="run", text="the cat sat")
    browser.run("document.querySelector('.grid button:nth-child(2)').focus()")
    browser.press("Enter", "\r")
    browser.until("location.hash.includes('head=0.1') "
                  "&& document.querySelector('#screen h3').textContent == 'Layer 0, head 1'")
    browser.run("document.querySelector('figure canvas').focus()")
    browser.press("ArrowUp")
    said = browser.run("document.querySelector('#screen p[role=status]').textContent")
    assert "looks at" in said and "The row sums to 1." in said
    browser.run("[...document.querySelectorAll('#screen button')]"
                ".find((b) => b.textContent == 'Switch this head off').focus()")
    browser.press("Enter", "\r")
    browser.until("document.querySelector('#silenced').textContent.includes('layer 0 head 1')")
    browser.until("document.querySelector('#screen').textContent.includes('without those')")
    assert faults(browser, looked) == []


@needs_browser
def test_the_numbers_behind_a_picture_are_a_table(browser, looked):
    go(browser, looked, "attention", model="run", text="the cat sat")
    browser.run("document.querySelector('figure summary').click()")
    browser.until("document.querySelector('figure table') !== null")
    rows = browser.run("[...document.querySelectorAll('figure tbody tr')].map((r) => "
                       "[...r.querySelectorAll('td')].map((d) => Number(d.textContent)))")
    assert len(rows) == 11 and all(abs(sum(row) - 1) < 0.02 for row in rows)


@needs_browser
@pytest.mark.parametrize("screen, least", [
    ("attention", 121), ("lens", 10), ("gaps", 10), ("weights", 20), ("embeddings", 20),
    ("training", 1),
])
def test_a_picture_is_saved_as_svg_with_its_colours(browser, looked, tmp_path, screen, least):
    where = {"model": "bert"} if screen == "gaps" else {"model": "run"}
    go(browser, looked, screen, **where, text="the cat sat")
    browser.until("document.querySelector('#screen figure') !== null")
    browser.do("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    browser.run("[...document.querySelectorAll('#screen button')]"
                ".find((b) => b.textContent == 'Save as SVG').click()")
    for _ in range(100):
        if files := [one for one in tmp_path.glob("*.svg") if one.stat().st_size]:
            break
        browser.run("new Promise((done) => setTimeout(done, 50))")
    shapes = [one for one in ElementTree.parse(files[0]).getroot().iter()
              if one.tag.endswith(("rect", "circle", "path"))]
    assert len(shapes) >= least
    colours = {one.get("fill") for one in shapes} | {one.get("stroke") for one in shapes}
    assert len(colours - {None, "", "none"}) >= (2 if screen == "attention" else 1)
    assert all(one.get("fill") for one in shapes)


@needs_browser
def test_a_number_opens_the_code_that_made_it(browser, looked):
    go(browser, looked, "lens", model="run", text="the cat sat")
    browser.run("[...document.querySelectorAll('#by button')]"
                ".find((b) => b.textContent == 'lens_logits').click()")
    browser.until("document.querySelector('#source').open")
    shown = browser.run("document.querySelector('#source pre').textContent")
    assert shown.startswith("def lens_logits(")
    assert shown in (ROOT / "tinygpt/inspection/lens.py").read_text(encoding="utf-8")


@needs_browser
def test_what_cannot_be_shown_is_a_sentence_on_the_screen(browser, looked):
    said = "document.querySelector('#screen').textContent"
    go(browser, looked, "attention", model="run", text="a" * 40)
    assert "fit this model's context" in browser.run(said)
    go(browser, looked, "training", model="a")
    assert "no folder of a run" in browser.run(said)


@needs_browser
def test_text_is_never_markup(browser, looked):
    for text in HOSTILE[:20]:
        go(browser, looked, "tokens", model="a", text=text.replace("\x00", ""))
        assert browser.run("window.hit") is None
    assert browser.run("document.querySelectorAll('#screen :is(img, script, iframe, style)')"
                       ".length") == 0
