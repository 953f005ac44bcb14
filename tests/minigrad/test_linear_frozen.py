"""Frozen weights, first layers: linear asks for no gradient that nobody wants, and keeps no x."""

import gc
import weakref

import numpy as np
import pytest

from kernels import active
from minigrad import ops
from minigrad.tensor import Tensor
from minigrad.testing import certify

FOUND = certify.backends()


def tensor(*shape, grad=True):
    rng = np.random.default_rng(len(shape))
    return Tensor(rng.standard_normal(shape).astype(np.float32), requires_grad=grad)


@pytest.fixture
def asked(monkeypatch):
    """What each linear_backward was asked for: (x was given, wants)."""
    calls, original = [], active.linear_backward

    def spy(dy, x, weight, activation, bias, wants):
        calls.append((x is not None, wants))
        return original(dy, x, weight, activation, bias, wants)

    monkeypatch.setattr(active, "linear_backward", spy)
    return calls


@pytest.mark.parametrize(
    ("grads", "activation", "reads_x"),
    [
        ((True, True, True), None, True),
        ((False, True, True), None, True),  # the first layer
        ((True, False, False), None, False),  # frozen
        ((True, False, True), None, False),  # BitFit: only the bias
        ((True, False, False), "gelu", True),  # act'(x)
        ((False, False, True), "gelu", False),
    ],
)
def test_only_what_requires_grad_is_computed(asked, grads, activation, reads_x):
    parts = [tensor(5, 3, grad=grads[0]), tensor(4, 3, grad=grads[1]), tensor(4, grad=grads[2])]
    ops.linear(*parts, activation).sum().backward()
    assert asked == [(reads_x, grads)]
    assert [part.grad is not None for part in parts] == list(grads)


def test_a_frozen_layer_keeps_no_input_alive():
    x, weight = tensor(5, 3), tensor(4, 3, grad=False)
    hidden = x * 2
    held = weakref.ref(hidden.data)
    y = ops.linear(hidden, weight)
    del hidden
    gc.collect()
    assert held() is None
    y.sum().backward()
    np.testing.assert_allclose(x.grad, np.tile(2 * weight.data.sum(axis=0), (5, 1)), rtol=1e-5)


def test_a_frozen_layer_after_a_norm_does_not_make_its_input_again():
    x, scale, weight = tensor(5, 3), tensor(3), tensor(4, 3, grad=False)
    normed = ops.rmsnorm(x, scale)
    normed.remake = lambda: pytest.fail("made again")
    ops.linear(normed, weight).sum().backward()
    assert x.grad is not None


@pytest.mark.parametrize("backend", [b for b, state in FOUND.items() if state == "ready"])
def test_a_frozen_table_has_no_gradient_and_x_the_same(backend):
    """The vocabulary's table is the largest matrix of a small model: a third of its work is dW."""
    targets = np.arange(9) % 7

    def gradients(frozen):
        x, table = tensor(9, 5), tensor(7, 5, grad=not frozen)
        with certify.running(backend):
            ops.linear_cross_entropy(x, table, targets, 0.1, softcap=3.0).backward()
            ops.linear_log_probability(x, table, targets).sum().backward()
        return x.grad, table.grad

    (dx, dtable), (same, none) = gradients(False), gradients(True)
    assert dtable is not None and none is None
    np.testing.assert_array_equal(same, dx)


def test_a_frozen_table_of_many_rows_takes_larger_chunks_for_the_same_gradient():
    targets, found = np.arange(250), []
    for learns in (False, True):
        x, table = tensor(250, 3), tensor(20_000, 3, grad=learns)
        ops.linear_cross_entropy(x, table, targets).backward()
        found.append(x.grad)
    np.testing.assert_allclose(*found, rtol=0, atol=2e-6 * np.abs(found[1]).max())
