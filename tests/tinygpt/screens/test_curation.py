"""The page of a curation: it says what the account says, and can be read by all."""

import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.tinygpt.curation.folders import mixed, prose
from tests.tinygpt.serving.browser import CHROMIUM, Browser
from tinygpt.cli.curation import curate as command
from tinygpt.curation import Account, curate
from tinygpt.screens import curation

AXE = Path(os.environ.get("TINYGPT_AXE", "axe.min.js"))


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    root = tmp_path_factory.mktemp("curated")
    mixed(root / "in")
    (root / "in/<script>alert(1)</script>.txt".replace("</", "<")).write_text("<b>bold</b> & short")
    for seed in range(100, 104):
        (root / f"in/{seed}.txt").write_text(f"{prose(seed)} Lorem ipsum.")
    curate(root / "in", root / "out")
    return root / "out"


@pytest.fixture
def account(corpus):
    found = Account(corpus)
    yield found
    found.close()


class Balanced(HTMLParser):
    """Tags that are open; an end without its beginning fails."""

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        pass

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_holds_the_sums_and_every_rule(account):
    page, balance = curation.render(account, "corpus"), account.balance()
    for count in (balance.files, balance.documents, balance.kept):
        assert f"<td class='n'>{count:,}</td>" in page
    for rule, count in balance.removed.items():
        assert f"<td>{rule}</td><td class='n'>{-count:,}</td>" in page
    drawn = [rule for rule in curation.rules(account) if rule.passed]
    assert page.count("<figure>") == len(drawn) > 25
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert "<script" not in page and "<b>bold" not in page
    assert not re.findall(r"(?:src|href|url)\s*[=(]", page)


def test_what_a_rule_took_stands_beside_what_was_kept(account):
    page = curation.render(account, "corpus")
    card = page[page.index("Dropped by c4.lorem_ipsum: 4 documents"):]
    card = card[: card.index("</section>")]
    assert card.count("Lorem ipsum.") == 4 or card.count("bytes</b>") >= 24
    assert all(f"{seed}.txt" in card for seed in range(100, 104))
    assert "4 of them, beside 20 that were kept" in card


def test_the_same_account_is_the_same_page(corpus, tmp_path):
    for name in ("a", "b"):
        curation.write_page(corpus, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_picture_counts_every_document_once():
    rule = curation.Rule("gopher.words", 50.0, 1000.0, [float(n) for n in range(60, 160)], [3.0])
    drawn = curation.picture(rule)
    assert "took 1 of 101 documents" in drawn and "at least 50 and at most 1000" in drawn
    assert drawn.count("class='limit'") == 1  # 1000 is too far out to be drawn
    assert drawn.count("class='gone'") == 1
    x = curation.Scale(3.0, 159.0, 1.0, 99.0)
    assert sum(curation._columns(rule.passed, x)) == 100
    assert curation._columns([-1e9, 1e9], x)[:: curation.BINS - 1] == [1, 1]
    assert "<figure>" in curation.picture(curation.Rule("c4.braces", None, 0.0, [0.0], []))


def test_the_command_writes_it(corpus, tmp_path):
    page = tmp_path / "page.html"
    done = CliRunner().invoke(command, ["--out", str(corpus), "--report", str(page)])
    assert done.exit_code == 0 and str(page) in done.output
    assert page.read_text(encoding="utf-8").startswith("<!doctype html>")
    done = CliRunner().invoke(command, ["--out", str(tmp_path), "--report", str(page)])
    assert done.exit_code != 0


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt install chromium")
@pytest.mark.skipif(not AXE.is_file(), reason="no axe-core: TINYGPT_AXE=axe.min.js (npm pack)")
def test_axe_finds_nothing(corpus, tmp_path):
    curation.write_page(corpus, tmp_path / "page.html")
    browser = Browser(tmp_path / "browser")
    try:
        for width in (360, 1280):
            for scheme in ("light", "dark"):
                browser.do("Emulation.setDeviceMetricsOverride", width=width, height=740,
                           deviceScaleFactor=1, mobile=width < 500)
                browser.do("Emulation.setEmulatedMedia",
                           features=[{"name": "prefers-color-scheme", "value": scheme}])
                browser.open((tmp_path / "page.html").as_uri())
                browser.run("document.querySelectorAll('details').forEach((e) => e.open = true)")
                browser.run(AXE.read_text(encoding="utf-8") + "; 0")
                found = browser.run(
                    "axe.run().then((r) => r.violations.map((v) => [v.id, v.nodes[0].html]))"
                )
                assert found == []
                assert browser.run("document.documentElement.scrollWidth - innerWidth") <= 0
    finally:
        browser.close()
