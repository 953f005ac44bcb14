"""micrograd's Value, made of 0-d Tensors: `pytest -p bench.peers.as_micrograd micrograd/test`."""

import sys
import types

import numpy as np

from bench.peers.tally import *  # noqa: F403  (the hooks)
from minigrad import Tensor


def value(data: float) -> Tensor:
    """A float64 leaf."""
    return Tensor(np.array(data, dtype=np.float64), requires_grad=True)


engine = types.ModuleType("micrograd.engine")
engine.Value = value
sys.modules["micrograd"] = types.ModuleType("micrograd")
sys.modules["micrograd.engine"] = engine
