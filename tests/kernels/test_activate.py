"""activate_forward: every activation by itself, on every backend and instruction set."""

import numpy as np
import pytest
from judge import WIDTHS, exact, floats, worst

from kernels import checks, numpy_ref


@pytest.mark.parametrize("activation", [None, *checks.ACTIVATIONS, *checks.GATED])
def test_it_is_the_activation_that_linear_applies(fast, activation):
    gated = activation in checks.GATED
    for width in WIDTHS:
        x = floats(width, 2, 3, width * (1 + gated), scale=3)
        y = fast.activate_forward(x, activation)
        assert y.shape == (2, 3, width)
        assert worst(y, exact(numpy_ref.activate_forward, x, activation)) < 2e-6
        np.testing.assert_allclose(
            y, fast.linear_forward(x, np.eye(width, dtype=np.float32), None, activation), rtol=1e-5,
            atol=1e-6,
        )


def test_a_gate_without_its_half_is_refused(fast):
    with pytest.raises(ValueError, match="rows of two halves"):
        fast.activate_forward(floats(0, 2, 7), "swiglu")
    with pytest.raises(ValueError, match="unknown activation 'tanh'"):
        fast.activate_forward(floats(0, 2, 7), "tanh")
