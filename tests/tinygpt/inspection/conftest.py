"""Small models in whose weights nothing is 0 or 1."""

import numpy as np
import pytest

from tinygpt.config import structure
from tinygpt.model import ModelShape, build

TINY = {"vocab_size": 31, "context": 24, "n_layers": 3, "n_heads": 4, "d_model": 32}
IDS = np.random.default_rng(2).integers(0, 31, 20)
SHAPES = {
    "gpt": {}, "llama": {"family": "llama", "n_kv_heads": 2}, "qwen3": {"family": "qwen3"},
    "alibi": {"positions": "alibi"}, "relative": {"positions": "relative"},
    "window": {"window": 5, "positions": "rope"}, "biases": {"bias": "all", "tied": False},
    "shared": {"n_blocks": 1}, "bert": {"family": "bert"},
}


def model_of(name, **more):
    shape = structure(ModelShape, {**TINY, **SHAPES.get(name, {}), **more}, "model.")
    model = build(shape, np.random.default_rng(0)).eval()
    rng = np.random.default_rng(1)
    for parameter in model.parameters():
        parameter.data += rng.normal(0, 0.1, parameter.shape).astype(np.float32)
    return model


@pytest.fixture
def ids():
    return IDS.copy()
