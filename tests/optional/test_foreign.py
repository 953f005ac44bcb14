"""Other libraries' tests of the same things, where somebody has fetched them.

    FOREIGN_SUITES=DIR python -m pytest tests/optional        (bench/foreign.py says what DIR holds)
"""

import os
from pathlib import Path

import pytest

from bench import foreign

FOLDER = Path(os.environ.get("FOREIGN_SUITES", ""))


@pytest.mark.slow
@pytest.mark.parametrize("name", foreign.SUITES)
def test_no_value_and_no_gradient_is_another_one_there(name):
    if not os.environ.get("FOREIGN_SUITES") or not (FOLDER / name).exists():
        pytest.skip(f"FOREIGN_SUITES names no folder that holds {name}")
    found = foreign.play(name, FOLDER / name)
    assert foreign.not_chosen(found["wrong"]) == []
    assert found["counts"].get("right", found["counts"].get("tests passed", 0)) > 0
