"""Every operation against PyTorch, float64, where a developer has installed it."""

import numpy as np
import pytest

from minigrad.testing import REGISTRY, RandomSource, certify
from tests.oracles import torch_values_and_gradients

pytest.importorskip("torch")


@pytest.mark.parametrize("name", sorted(REGISTRY))
@pytest.mark.filterwarnings("ignore")  # torch's own, about versions and deprecations
def test_agrees_with_torch(name):
    op = REGISTRY[name]
    for seed in range(18):
        case = op.sample(RandomSource(np.random.default_rng(seed), telling=seed < 6))
        ours = certify.values_and_gradients(op, case, np.float64)
        theirs = torch_values_and_gradients(name, case)
        for got, right in zip(ours, theirs, strict=True):
            assert certify.error(got, right, 1e-4) <= 1e-9, (name, seed, case)
