"""Whatever is done to a file, whoever reads it says so in words, warns, or reads what was there.

A few hundred cases of one seed; `python -m bench.soak files` runs ten thousand of any.
"""

import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.fuzz import mutate

CASES = 180


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the cases run in forked processes")
def test_damaged_files_are_refused_in_words_left_out_with_a_warning_or_harmless():
    halves = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz", "--first", str(first), "--count", str(CASES // 2)],
            cwd=Path(__file__).parents[2], text=True, stdout=subprocess.PIPE,
        )
        for first in (0, CASES // 2)
    ]
    outputs = [half.communicate()[0] for half in halves]
    assert [half.returncode for half in halves] == [0, 0], "".join(outputs)
    rows = [output.splitlines()[-2].split("|")[2:-1] for output in outputs]
    refused, warned, harmless, faults, cases = np.array(rows, int).sum(axis=0)
    assert (faults, cases) == (0, CASES)
    assert min(refused, warned, harmless) > CASES / 20  # all sorts came, not one alone


def test_the_same_seed_damages_alike():
    whole = b'{"a": [1, 2.5, "x"], "b": {"c": null}}'
    for mutation in (*mutate.BLIND, mutate.json_values):
        twice = [[mutation(whole, random.Random(i)) for i in range(30)] for _ in range(2)]
        assert twice[0] == twice[1]
        assert len(set(twice[0]) - {whole}) > 5
