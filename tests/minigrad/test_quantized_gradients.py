"""Gradients through quantized layers, against Linear on the weights that the codes stand for."""

import gc
import weakref

import numpy as np
import pytest

from kernels import packing
from minigrad import nn, no_grad, ops
from minigrad.gradcheck import check_grads
from minigrad.nn.quantized import QuantizedEmbedding, QuantizedLinear, quantize
from minigrad.ops.linear_packed import linear_packed
from minigrad.optim import AdamW
from minigrad.tensor import Tensor
from minigrad.testing import certify

FOUND = certify.backends()
R, K, N = 12, 70, 37


def draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def leaf(seed, *shape):
    return Tensor(draw(seed, *shape), requires_grad=True)


def gradients(forward, backend):
    """Of x, bias and residual, for a fixed dy."""
    if FOUND.get(backend) != "ready":
        pytest.skip(f"{backend}: {FOUND.get(backend, 'not built')}")
    parts = leaf(0, R, K), leaf(1, N), leaf(2, R, N)
    with certify.running(backend):
        (forward(*parts) * Tensor(draw(3, R, N))).sum().backward()
    return [part.grad for part in parts]


@pytest.mark.parametrize("backend", FOUND)
@pytest.mark.parametrize("activation", [None, "gelu", "relu2", "silu"])
@pytest.mark.parametrize("scheme", packing.SCHEMES)
def test_gradients_are_those_of_the_weights_that_the_codes_stand_for(scheme, activation, backend):
    """For int8 and int4 too: their rounding of x is passed through."""
    packed = quantize(draw(4, N, K), scheme)
    weight = Tensor(packing.dequantize(packed))
    got = gradients(lambda x, b, r: linear_packed(x, packed, b, activation, r), backend)
    right = gradients(lambda x, b, r: ops.linear(x, weight, b, activation, r), "numpy")
    for g, w in zip(got, right, strict=True):
        assert np.abs(g - w).max() <= 1e-6 * np.abs(w).max()


@pytest.mark.parametrize("activation", [None, "gelu", "relu2", "silu"])
def test_nf4_gradients_agree_with_differences(activation):
    """NF4 rounds no activations, so its derivative is the true one."""
    packed = quantize(draw(4, 5, 7), "nf4")
    x, bias, residual = (
        draw(i, *s).astype(np.float64) for i, s in enumerate([(3, 7), (5,), (3, 5)])
    )
    report = check_grads(
        lambda x, b, r: linear_packed(x, packed, b, activation, r), (x, bias, residual)
    )
    assert report.passed, str(report)


@pytest.mark.parametrize("scheme", packing.SCHEMES)
def test_the_tied_output_projection_passes_its_gradient_back(scheme):
    table = QuantizedEmbedding(quantize(draw(4, N, K), scheme))
    x = leaf(0, R, K)
    (table.attend(x) * Tensor(draw(3, R, N))).sum().backward()
    right = draw(3, R, N) @ table.dequantized()
    np.testing.assert_allclose(x.grad, right, rtol=0, atol=1e-6 * np.abs(right).max())


def test_without_a_graph_nothing_is_recorded():
    layer = QuantizedLinear(quantize(draw(4, N, K), "int8"), leaf(1, N), "gelu")
    with no_grad():
        assert layer(leaf(0, R, K)).node is None
    layer.bias = Tensor(draw(1, N))
    assert layer(Tensor(draw(0, R, K))).node is None


def test_a_layer_without_an_activation_keeps_no_input_alive():
    layer = QuantizedLinear(quantize(draw(4, N, K), "int4"))
    hidden = leaf(0, R, K) * 2
    held = weakref.ref(hidden.data)
    y = layer(hidden)
    del hidden
    gc.collect()
    assert held() is None and y.requires_grad


@pytest.mark.parametrize("scheme", packing.SCHEMES)
def test_an_adapter_beside_a_frozen_packed_weight_learns_through_another(scheme):
    """LoRA (Hu et al. 2021) on the first of two frozen layers: its gradient crosses the second."""
    rng = np.random.default_rng(0)
    first, second = (QuantizedLinear(quantize(0.2 * draw(s, K, K), scheme)) for s in (4, 5))
    down = nn.Linear(K, 4, bias=False, rng=rng)
    up = nn.Linear(4, K, bias=False, std=0.0, rng=rng)
    x = Tensor(draw(0, 64, K))
    target = second(Tensor(first(x).data + x.data @ (draw(6, K, 2) @ draw(7, 2, K)) / 8))
    optimizer = AdamW([down.weight, up.weight], lr=2e-2)
    losses = []
    for _ in range(150):
        error = second(first(x, up(down(x)))) - target
        loss = (error * error).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.05 * losses[0]
