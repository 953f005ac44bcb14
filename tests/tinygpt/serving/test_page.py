"""The chat page in a real browser: nothing from elsewhere, nothing run, everything by keyboard."""

import gzip
import json
import os
import re
import shutil
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.tinygpt.serving.browser import CHROMIUM
from tests.tinygpt.serving.conftest import KEY
from tinygpt.serving.pages import FOLDER, files

HOSTILE = [
    "<img src=x onerror=window.hit=1>", "<script>window.hit=1</script>", "</p><script>hit=1",
    "<svg onload=window.hit=1>", "javascript:window.hit=1", "<iframe srcdoc='<script>'>",
    "<a href='javascript:hit=1'>x</a>", "{{constructor}}", "${window.hit=1}", "&lt;b&gt;",
    "<style>*{display:none}</style>", "<!--", "]]>", "<math><mi//xlink:href=x>", "\u202eabc",
    "<body onload=hit=1>", "<details open ontoggle=hit=1>", "'\"><img src=x>", "<base href=//x>",
    "<form action=//x><button>", "<link rel=stylesheet href=//x>", "\x00\x07",
]
AXE = Path(os.environ.get("TINYGPT_AXE", "axe.min.js"))
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt install chromium")
SAID = "[...document.querySelectorAll('#said .text')].map(e => e.textContent)"
IDLE = "document.querySelector('#stop').hidden && document.querySelectorAll('#said article').length"


def say(page, text):
    page.run("document.querySelector('#say').focus()")
    page.write(text)
    page.press("Enter", "\r")
    page.until(IDLE)


def test_the_page_is_small_and_known_by_its_tag(room):
    sizes = {name: len(file.packed) for name, file in files().items()}
    assert sum(sizes.values()) < 40_000 and len(sizes) <= 24
    status, headers, body = room.ask("GET", "/", headers={"Accept-Encoding": "gzip"})
    assert status == 200 and gzip.decompress(body) == (FOLDER / "index.html").read_bytes()
    assert headers["Content-Security-Policy"].startswith("default-src 'none'; script-src 'self'")
    again = {"If-None-Match": headers["ETag"]}
    assert room.ask("GET", "/", headers=again)[::2] == (304, b"")
    assert room.ask("GET", "/page/index.html")[0] == room.ask("GET", "/page/../x")[0] == 404


@needs_browser
def test_an_answer_comes_and_stays(page, locked):
    say(page, "The cat")
    mine, answer = page.run(SAID)
    assert mine == "The cat"
    seed = int(page.run("document.querySelector('article:last-child .tools').textContent"
                        ".match(/seed (\\d+)/)[1]"))
    asked = {"messages": [{"role": "user", "content": "The cat"}], "model": "a", "seed": seed,
             "temperature": 0.8, "top_p": 0.95, "max_tokens": 12}
    content = locked.ask("POST", "/v1/chat/completions", asked,
                         {"Authorization": f"Bearer {KEY}"})[2]
    assert answer == json.loads(content)["choices"][0]["message"]["content"]
    assert page.run("document.querySelector('#announce').textContent") == f"a: {answer}"
    page.open(f"{locked.url}/")  # the key is kept, and so is what was said
    page.until("document.querySelector('#model').options.length == 2")
    assert page.run(SAID) == [mine, answer]
    assert not page.run("location.href").count("key")


@needs_browser
def test_again_and_edit_grow_branches_and_nothing_is_lost(page):
    say(page, "The cat")
    first = page.run(SAID)
    page.run("[...document.querySelectorAll('.tools button')].at(-1).click()")  # Again
    page.until("document.querySelector('#said').textContent.includes('2 of 2')")
    page.run("[...document.querySelectorAll('button')]"
             ".find(b => b.textContent == 'Earlier version').click()")
    assert page.run(SAID) == first
    page.run("document.querySelector('.tools button').click()")  # Edit
    page.run("document.activeElement.value = 'A dog'")
    page.run("document.querySelector('article button').click()")
    page.until(f"{IDLE} == 2")
    assert page.run(SAID)[0] == "A dog"
    page.run("document.querySelector('.tools button').click()")  # Earlier version
    assert page.run(SAID) == first


NODES = ("JSON.parse(Object.entries(localStorage)"
         ".find(([key]) => key.startsWith('tinygpt:talk:'))[1]).nodes")
WHY = "document.querySelector('article:last-child [role=status]')"


@needs_browser
def test_an_answer_is_underlined_by_surprise_and_each_token_shows_its_draw(page, locked):
    page.run("document.querySelector('#top_k').value = document.querySelector('#seed').value = 5")
    say(page, "The cat")
    node = page.run(NODES)["2"]
    spans = page.run("[...document.querySelectorAll('.drawn')].map((e) => [e.textContent, "
                     "Number(e.style.getPropertyValue('--much'))])")
    assert "".join(text for text, _ in spans) == node["content"]
    assert [much for text, much in spans] == pytest.approx(
        [min(1, nats / 8) for _, nats, text in node["tokens"] if text], abs=0.006)
    page.run("document.querySelector('.drawn:nth-child(3)').click()")
    page.until(f"{WHY}.querySelectorAll('.line').length >= 10")
    said = page.run(f"{WHY}.textContent")
    number, low, high = map(float, re.search(
        r"number drawn was ([\d.]+): it fell between ([\d.]+) and ([\d.]+)", said).groups())
    assert low <= number <= high
    drawn = page.run(f"[...{WHY}.querySelectorAll('.after')].map((e) => parseFloat(e.style.width))")
    assert sum(width > 0 for width in drawn) == 5  # top k


@needs_browser
def test_what_is_too_much_to_remember_is_left_out(page):
    for number in range(6):
        say(page, f"The cat sat on the mat {number}, and a dog saw the cat and ran.")
    assert len(page.run(SAID)) == 12 and all(page.run(SAID)[::2])
    assert page.run("document.querySelector('#notice').hidden")


@needs_browser
def test_nothing_comes_from_elsewhere_and_nothing_is_wrong(page, locked):
    since = 1000 * time.time()  # the log also tells what earlier pages were told
    page.open(f"{locked.url}/?again")
    page.until("document.querySelector('#model').options.length == 2")
    say(page, "The cat")
    asked = page.told("Network.requestWillBeSent")
    loads = Counter(one["loaderId"] for one in asked)  # the page was opened twice
    assert len(loads) >= 2 and max(loads.values()) <= 12
    assert all(one["request"]["url"].startswith(f"{locked.url}/") for one in asked)
    logged = [one["entry"] for one in page.told("Log.entryAdded")]
    assert not [one for one in logged if one["timestamp"] > since]
    assert not page.told("Runtime.exceptionThrown")
    assert not [one for one in page.told("Runtime.consoleAPICalled") if one["type"] == "error"]


@needs_browser
def test_text_is_never_markup(page):
    for text in HOSTILE:
        page.run(f"document.querySelector('#say').value = {json.dumps(text)}")
        page.run("document.querySelector('#form').requestSubmit()")
        page.until(IDLE)
    said = page.run(SAID)
    assert [one for one in said if one in HOSTILE] == HOSTILE
    assert page.run("window.hit") is None
    assert page.run("document.querySelectorAll('#said :is(img, script, svg, iframe, a, style)')"
                    ".length") == 0


@needs_browser
def test_without_the_key_it_is_asked_for(page, locked):
    page.run("localStorage.clear()")
    page.open(f"{locked.url}/")
    page.until("!document.querySelector('#unlock').hidden")
    assert page.run("document.activeElement.id") == "key"
    page.write(KEY)
    page.press("Enter", "\r")
    page.until("document.querySelector('#model').options.length == 2")
    assert page.run("document.querySelector('#unlock').hidden")


# Ratio of the brightness of text and of what is behind it (WCAG 2), the least on the page; and
# whatever is cut off or has no name.
LOOK = """(() => {
  const parts = (c) => c.match(/[\\d.]+/g).map(Number);
  const light = (c) => parts(c).slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => { for (; e; e = e.parentElement) {
    const c = getComputedStyle(e).backgroundColor;
    if (parts(c)[3] !== 0) return c;
  } return "rgb(255,255,255)"; };
  document.querySelectorAll("details").forEach((d) => d.open = true);
  document.querySelector("#talks").hidden = false;
  const seen = [...document.querySelectorAll("body *")].filter((e) => e.getClientRects().length);
  const words = seen.filter((e) => [...e.childNodes].some((n) => n.nodeType == 3
    && n.textContent.trim()) && !e.matches(".unseen, .skip"));
  const ratios = words.map((e) => {
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
    return (a + 0.05) / (b + 0.05);
  });
  const fields = seen.filter((e) => e.matches("input, select, textarea"));
  return { ratio: Math.min(...ratios), words: words.length,
    wide: document.documentElement.scrollWidth - innerWidth,
    nameless: fields.filter((e) => !e.labels.length && !e.ariaLabel).length,
    empty: seen.filter((e) => e.matches("button") && !e.textContent.trim()).length,
    low: seen.filter((e) => e.matches("#send, #say, #menu, #model")
      && e.getBoundingClientRect().height < 44).length };
})()"""


@needs_browser
@pytest.mark.parametrize("width", (360, 1280))
@pytest.mark.parametrize("scheme", ("light", "dark"))
def test_it_can_be_read_and_used(page, width, scheme):
    page.do("Emulation.setDeviceMetricsOverride", width=width, height=740, deviceScaleFactor=1,
            mobile=width < 500)
    page.do("Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}])
    say(page, "The cat " + "w" * 300)
    found = page.run(LOOK)
    assert found["words"] > 15 and found["ratio"] >= 4.5
    assert found["wide"] <= 0
    assert found["nameless"] == found["empty"] == found["low"] == 0
    back = page.run("getComputedStyle(document.body).backgroundColor")
    assert (back == "rgb(255, 255, 255)") == (scheme == "light")


@needs_browser
@pytest.mark.skipif(not AXE.is_file(), reason="no axe-core: TINYGPT_AXE=axe.min.js (npm pack)")
@pytest.mark.parametrize("width", (360, 1280))
@pytest.mark.parametrize("scheme", ("light", "dark"))
def test_axe_finds_nothing(page, width, scheme):
    page.do("Emulation.setDeviceMetricsOverride", width=width, height=740, deviceScaleFactor=1,
            mobile=width < 500)
    page.do("Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}])
    say(page, "The cat")
    page.run("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    page.run("document.querySelector('.drawn').click()")
    page.until(f"{WHY}.querySelectorAll('.line').length")
    page.run(AXE.read_text(encoding="utf-8") + "; 0")
    assert page.run("axe.run().then((r) => r.violations.map((v) => [v.id, v.nodes[0].html]))") == []
    assert page.run("document.documentElement.scrollWidth - innerWidth") <= 0


@pytest.mark.skipif(shutil.which("node") is None, reason="no node")
def test_text_cut_at_every_byte_is_whole(tmp_path):
    """The reader of streams, given every cut of a stream in two."""
    (tmp_path / "client.mjs").write_bytes((FOLDER / "client.js").read_bytes())
    (tmp_path / "test.mjs").write_text("""
import { events } from "./client.mjs";
const text = 'data: {"t":"Żółć 🙂 日本"}\\n\\n: ping\\n\\ndata: é\\n\\ndata: [DONE]\\n\\n';
const bytes = new TextEncoder().encode(text);
const expected = JSON.stringify(['{"t":"Żółć 🙂 日本"}', "é", "[DONE]"]);
async function* pieces(...parts) { yield* parts; }
for (let i = 0; i <= bytes.length; i++) {
  const found = [];
  for await (const one of events(pieces(bytes.slice(0, i), bytes.slice(i)))) found.push(one);
  if (JSON.stringify(found) !== expected) throw new Error(`cut at ${i}: ${found}`);
}
console.log(bytes.length);
""", encoding="utf-8")
    done = subprocess.run(["node", tmp_path / "test.mjs"], capture_output=True, text=True)
    assert done.returncode == 0 and int(done.stdout) > 60, done.stderr


@pytest.mark.skipif(shutil.which("node") is None, reason="no node")
def test_what_would_show_nothing_has_a_sign(tmp_path):
    signs = {
        "cat": "cat", " cat": " cat", " ": "\u2423", "\r": "\u240d", "\n\n": "\u21b5\u21b5",
        "\t": "\u21e5", "a\u0007": "aU+0007", "\u200b": "U+200B", "\u00a0": "U+00A0", "": "(part)",
    }
    (tmp_path / "draw.mjs").write_bytes((FOLDER / "draw.js").read_bytes())
    (tmp_path / "test.mjs").write_text(
        'import { visible } from "./draw.mjs";\n'
        f"console.log(JSON.stringify({json.dumps(list(signs))}.map(visible)));", encoding="utf-8")
    done = subprocess.run(["node", tmp_path / "test.mjs"], capture_output=True, text=True,
                          encoding="utf-8")
    assert json.loads(done.stdout) == list(signs.values())
