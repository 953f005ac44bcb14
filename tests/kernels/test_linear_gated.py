"""linear after a gate (swiglu, geglu), every fast version against the float64 reference."""

import numpy as np
import pytest
from judge import exact, floats, worst

from kernels import numpy_ref

GATES = ("swiglu", "geglu")
SHAPES = [(1, 1, 1), (2, 7, 5), (3, 8, 9), (13, 33, 17), (64, 96, 65), (130, 300, 70)]


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("shape", SHAPES)
def test_gate_agrees_both_ways(fast, gate, shape):
    rows, inside, outside = shape
    x, weight, bias = floats(1, rows, 2 * inside), floats(2, outside, inside), floats(3, outside)
    dy = floats(4, rows, outside)
    y = fast.linear_forward(x, weight, bias, gate)
    assert worst(y, exact(numpy_ref.linear_forward, x, weight, bias, gate)) < 5e-6
    grads = fast.linear_backward(dy, x, weight, gate, bias)
    wanted = exact(numpy_ref.linear_backward, dy, x, weight, gate, bias)
    assert all(worst(grad, right) < 5e-6 for grad, right in zip(grads, wanted, strict=True))


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("wants", np.eye(3, dtype=bool).tolist())
def test_a_wanted_gradient_does_not_depend_on_the_others(fast, gate, wants):
    x, weight, bias, dy = floats(1, 30, 26), floats(2, 9, 13), floats(3, 9), floats(4, 30, 9)
    whole = fast.linear_backward(dy, x, weight, gate, bias)
    some = fast.linear_backward(dy, x, weight, gate, bias, wants)
    for one, other, want in zip(whole, some, wants, strict=True):
        assert np.array_equal(one, other) if want else other is None


def test_first_half_is_the_gate(fast):
    """silu(0) = 0 closes it, whatever passes by; a large one lets all through."""
    x = np.array([[0, 30, 5, 7]], np.float32)
    y = fast.linear_forward(x, np.eye(2, dtype=np.float32), None, "swiglu")
    assert np.array_equal(y, np.array([[0, 210]], np.float32))


def test_width_that_is_not_twice_the_weights_is_named(fast):
    x, weight = floats(1, 3, 13), floats(2, 4, 13)
    with pytest.raises(ValueError, match=r"x \(3, 13\) must have rows of 26"):
        fast.linear_forward(x, weight, None, "swiglu")
    with pytest.raises(ValueError, match=r"x \(3, 13\) must have rows of 26"):
        fast.linear_backward(floats(3, 3, 4), x, weight, "geglu")
