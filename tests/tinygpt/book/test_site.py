"""The book as a site: every link leads somewhere, nothing comes from elsewhere."""

import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.tinygpt.serving.browser import CHROMIUM
from tests.tinygpt.serving.conftest import browser, make_served, room  # noqa: F401
from tinygpt.book import api, pages, site
from tinygpt.book.render import to_html

AXE = Path(os.environ.get("TINYGPT_AXE", "axe.min.js"))
SHOWN = ("index.html", "attention.html", "glossary.html", "search.html#causal mask",
         "api/kernels.numpy_ref.html")
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt install chromium")


class Links(HTMLParser):
    """Addresses that a page asks for or leads to, and the places in it."""

    def __init__(self, html):
        super().__init__()
        self.to, self.places = [], set()
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.to += [found[name] for name in ("href", "src") if name in found]
        self.places.add(found.get("id"))


@pytest.fixture(scope="module")
def linked():
    """Address -> links, of all pages but the many of code and of the API."""
    chosen = [a for a in site.addresses() if a.endswith(".html") and not a.startswith("source/")]
    chosen = [a for a in chosen if not a.startswith("api/") or a in SHOWN or "index" in a]
    chosen.append("source/kernels/numpy_ref/softmax.py.html")
    return {address: Links(site.made(address).decode()) for address in chosen}


def test_every_link_leads_to_a_page_and_to_a_place_in_it(linked):
    for address, links in linked.items():
        for target in links.to:
            if target.startswith("https://"):
                continue
            name, _, place = target.partition("#")
            there = os.path.normpath(os.path.join(os.path.dirname(address), name))
            there = there if name else address
            assert there in site.addresses(), (address, target)
            if place and there in linked:
                assert place in linked[there].places, (address, target)


def test_no_page_asks_another_machine(linked):
    texts = [site.made(name).decode() for name in ("book.css", "search.js", "icon.svg")]
    asked = [found for text in texts for found in re.findall(r"https?://[^\s\"')]+", text)]
    assert set(asked) <= {"http://www.w3.org/2000/svg"}
    for address in linked:
        html = site.made(address).decode()
        assert not re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(?:https?:)?//', html)


def test_a_link_to_what_is_not_there_is_plain_text():
    found = to_html("[a](x.md) and [b](y.md)", {"y.md": "y.html"}.get)
    assert found == '<p>a and <a href="y.html">b</a></p>\n'


def test_all_sections_can_be_found():
    words = site.made("words.js").decode()
    for name in pages.names():
        assert pages.title_of(name).replace('"', '\\"') in words


def test_the_api_names_what_is_public_and_says_it():
    html = api.inside("kernels/numpy_ref", dict.fromkeys(api.modules(), "#"))
    assert "softmax_forward(x)" in html and "shifted by the row maximum" in html
    assert "_by_position" not in html and "minigrad/ops" in api.packages()


def test_the_whole_is_written_to_a_folder(tmp_path, monkeypatch):
    few = {"index.html": pages.folder() / "README.md", "figures/tape.svg":
           pages.folder() / "figures/tape.svg", "api/index.html": None}
    monkeypatch.setattr(site, "addresses", lambda: few)
    assert site.write(tmp_path / "site") == 3
    assert (tmp_path / "site/figures/tape.svg").read_bytes() == few["figures/tape.svg"].read_bytes()


def test_a_server_shows_it_at_learn(room):  # noqa: F811
    status, headers, body = room.ask("GET", "/learn/tape.html")
    assert status == 200 and headers["Content-Type"].startswith("text/html")
    assert body == site.made("tape.html")
    status, headers, _ = room.ask("GET", "/learn")
    assert (status, headers["Location"]) == (308, "/learn/")
    assert room.ask("GET", "/learn/nothing.html")[0] == 404


@needs_browser
def test_the_search_finds_sections_offline(browser, room):  # noqa: F811
    browser.events.clear()
    browser.open(f"{room.url}/learn/search.html#causal mask")
    browser.until("document.querySelectorAll('#found li').length > 3")
    assert "glossary.html#causal-mask" in browser.run("document.querySelector('#found a').href")
    asked = [one["request"]["url"] for one in browser.told("Network.requestWillBeSent")]
    assert len(asked) >= 4 and all(url.startswith(room.url) for url in asked)
    assert not browser.told("Log.entryAdded") and not browser.told("Runtime.exceptionThrown")


@needs_browser
@pytest.mark.skipif(not AXE.is_file(), reason="no axe-core: TINYGPT_AXE=axe.min.js (npm pack)")
@pytest.mark.parametrize("width", (360, 1280))
@pytest.mark.parametrize("scheme", ("light", "dark"))
@pytest.mark.parametrize("address", SHOWN)
def test_axe_finds_nothing(browser, room, address, scheme, width):  # noqa: F811
    browser.do("Emulation.setEmulatedMedia",
               features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.do("Emulation.setDeviceMetricsOverride", width=width, height=800, deviceScaleFactor=1,
               mobile=False)
    browser.open("about:blank")  # another place in the same page would ask for nothing
    browser.events.clear()
    browser.open(f"{room.url}/learn/{address}")
    asked = [one["request"]["url"] for one in browser.told("Network.requestWillBeSent")]
    assert asked and all(url.startswith(room.url) for url in asked)
    browser.run(AXE.read_text(encoding="utf-8"))
    found = browser.run("axe.run().then((r) => r.violations.map((v) => v.id + ' '"
                        " + v.nodes.map((n) => n.html.slice(0, 90)).slice(0, 3)))")
    assert found == []
    assert browser.run("document.documentElement.scrollWidth <= innerWidth")
