"""docs/gradients.md is a program: its blocks run, and print what the page says."""

import doctest
from pathlib import Path

import numpy as np
import pytest

PAGE = Path(__file__).parents[2] / "docs" / "gradients.md"


def examples(text: str) -> list[doctest.Example]:
    """The prompts of all ```python blocks, as one session."""
    blocks = [part.split("```")[0] for part in text.split("```python\n")[1:]]
    assert len(blocks) == text.count("```python")
    return doctest.DocTestParser().get_examples("\n".join(blocks))


def test_every_block_is_made_of_prompts():
    for block in PAGE.read_text(encoding="utf-8").split("```python\n")[1:]:
        assert block.startswith(">>> "), block[:60]


@pytest.mark.filterwarnings("ignore")
def test_the_page_prints_what_it_says():
    found = examples(PAGE.read_text(encoding="utf-8"))
    assert len(found) > 30
    test = doctest.DocTest(found, {}, PAGE.name, str(PAGE), 0, None)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    report: list[str] = []
    runner = doctest.DocTestRunner(optionflags=flags)
    runner.run(test, out=report.append)
    assert runner.failures == 0, "".join(report)
    assert np.get_printoptions()["precision"] == 8  # the page leaves no settings behind
