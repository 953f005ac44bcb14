"""The laws that ship are those that the fit finds, and they hold for the runs."""

import math

import numpy as np
import pytest

from bench import dial
from tinygpt.planning.laws import bits_per_byte, constants


def test_the_constants_that_ship_are_fitted_on_the_runs_that_ship():
    found, scales = dial.fit(dial.load())
    assert found == pytest.approx(constants(), rel=1e-3)
    off = [math.log(bits_per_byte(dial.case_of(run, scales)) / run["bits"]) for run in dial.load()]
    assert np.std(off) < 0.03


def test_a_fit_finds_the_law_that_made_the_runs():
    """Runs made by a law are said by the one that is fitted on them, also where there were none."""
    made = {name: guess * 1.1 for name, (guess, _) in dial.GUESSES.items()}
    rng, runs = np.random.default_rng(0), []
    for _ in range(60):
        passes, ratio = 10 ** rng.uniform(-1, 1.3), rng.uniform(1, 3)
        run = {
            "text": "en11", "bytes": 1e6, "train_tokens": 1e6 / ratio, "vocab": int(500 * ratio),
            "layers": 4, "width": int(rng.integers(64, 256)), "tokens": 1e6 / ratio * passes,
            "dropout": float(rng.choice([0.0, 0.2])),
        }
        runs.append({**run, "bits": bits_per_byte(dial.case_of(run, {}), made)})
    found, _ = dial.fit(runs[:40])
    for run in runs[40:]:
        said = bits_per_byte(dial.case_of(run, {}), found)
        assert said == pytest.approx(run["bits"], rel=0.01)


def test_choices_by_hand_are_twelve_and_all_different():
    hands = [dial.by_hand(*choice) for choice in dial.HAND]
    assert len(hands) == 12 and len({tuple(hand) for hand in hands}) == 12
