"""Mistakes planted in the real backward of every operation: each must be caught."""

import numpy as np
import pytest

from minigrad.testing import REGISTRY, RandomSource
from minigrad.testing.plant import KINDS, caught_by_differences, planted

SEEDS = range(1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", sorted(REGISTRY))
def test_a_planted_mistake_is_caught(name, kind):
    op = REGISTRY[name]
    results = []
    for seed in SEEDS:
        case = op.sample(RandomSource(np.random.default_rng(seed), telling=True))
        for argument in range(len(case.floats())):
            with planted(kind, argument, seed) as changed:
                caught = caught_by_differences(op, case, seed)
            if changed:
                results.append(caught)
    if not results:
        assert kind == "transposed"  # vectors, or a gradient that is its own transpose
        pytest.skip("no argument of this operation has a transpose to confuse")
    assert all(results)


def test_nothing_planted_nothing_caught():
    op = REGISTRY["linear"]
    case = op.sample(RandomSource(np.random.default_rng(0), telling=True))
    assert not caught_by_differences(op, case, 0)
