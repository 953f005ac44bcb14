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


@pytest.mark.parametrize("activation", [None, *checks.ACTIVATIONS, *checks.GATED])
def test_its_gradient_is_the_one_in_linear_s(fast, activation):
    gated = activation in checks.GATED
    for width in WIDTHS:
        x = floats(width, 2, 3, width * (1 + gated), scale=3)
        da = floats(width + 1, 2, 3, width)
        dx = fast.activate_backward(da, x, activation)
        assert worst(dx, exact(numpy_ref.activate_backward, da, x, activation)) < 4e-6
        eye, wants = np.eye(width, dtype=np.float32), (True, False, False)
        same = fast.linear_backward(da, x, eye, activation, None, wants)[0]
        np.testing.assert_allclose(dx, same, rtol=1e-5, atol=1e-6)


def test_a_gradient_of_another_size_is_refused(fast):
    for x, activation in ((floats(0, 2, 7), "swiglu"), (floats(0, 2, 9), "gelu")):
        with pytest.raises(ValueError, match="no gradient of an activation"):
            fast.activate_backward(floats(1, 2, 8), x, activation)


def test_a_gate_without_its_half_is_refused(fast):
    with pytest.raises(ValueError, match="rows of two halves"):
        fast.activate_forward(floats(0, 2, 7), "swiglu")
    with pytest.raises(ValueError, match="unknown activation 'tanh'"):
        fast.activate_forward(floats(0, 2, 7), "tanh")
