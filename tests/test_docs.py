"""Every page of docs/ that holds Python is a program: its blocks run, and print what it says."""

import doctest
import re
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
PROSE = ("README", "glossary", "study-group")
PAGES = sorted(page.stem for page in (ROOT / "docs").glob("*.md") if page.stem not in PROSE)


def text_of(page: str) -> str:
    return (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")


def examples(text: str) -> list[doctest.Example]:
    """The prompts of all ```python blocks, as one session."""
    blocks = [part.split("```")[0] for part in text.split("```python\n")[1:]]
    assert len(blocks) == text.count("```python")
    return doctest.DocTestParser().get_examples("\n".join(blocks))


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_made_of_prompts(page):
    for block in text_of(page).split("```python\n")[1:]:
        assert block.startswith(">>> "), block[:60]


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.filterwarnings("ignore")
def test_the_page_prints_what_it_says(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = examples(text_of(page))
    assert len(found) >= 8
    test = doctest.DocTest(found, {}, f"{page}.md", page, 0, None)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=flags)
    runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)
    assert np.get_printoptions()["precision"] == 8  # the page leaves no settings behind


def test_the_walk_names_each_file_once():
    """One batch passes each file once: the second mention is plain text, not a link."""
    links = re.findall(r"\]\(([^)#:]+)\)", text_of("walk"))
    assert len(links) == len(set(links)) >= 20
