"""A merge that is rounded again: what it costs, and that finer weights cost less."""

import numpy as np

from tests.tinygpt.adapters.test_methods import moved
from tinygpt.compression.merged import merge_rounded
from tinygpt.weights.quantized import quantizable

TOKENS = np.random.default_rng(7).integers(0, 300, 400)


def test_the_cost_of_rounding_again_is_measured():
    costs = {}
    for scheme in ("int8", "nf4"):
        model, *_ = moved("qlora", "llama")
        found = merge_rounded(model, scheme, TOKENS)
        assert not quantizable(model)
        costs[scheme] = found.kl
    assert 0 < costs["int8"] < costs["nf4"] / 4
