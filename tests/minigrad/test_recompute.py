"""Activations computed again: the same gradients, byte for byte, from less memory."""

import weakref

import numpy as np
import pytest

from minigrad import Tensor, nn, ops, recompute


class TwoLayers(nn.Module):
    def __init__(self, rng):
        self.a = nn.Linear(8, 8, rng=rng)
        self.b = nn.Linear(8, 8, activation="gelu", rng=rng)
        self.dropout = nn.Dropout(0.3, np.random.default_rng(5))

    def forward(self, x):
        return self.dropout(self.b(self.dropout(self.a(x)))) + x


@pytest.mark.parametrize("nested", [False, True])
def test_recompute_gives_the_same_bytes_with_dropout_and_shared_weights(nested):
    def run(wrap):
        layers = TwoLayers(np.random.default_rng(0))
        x = Tensor(np.random.default_rng(1).standard_normal((4, 8), dtype=np.float32))
        x.requires_grad_()
        y = x
        for _ in range(3):  # the same weights three times: the order of sums matters
            y = wrap(layers, y)
        (y * y).sum().backward()
        return [x.grad, *(p.grad for p in layers.parameters())]

    def once(layers, y):
        return recompute(layers, y)

    def twice(layers, y):
        return recompute(lambda z: recompute(layers, z), y)

    plain = run(lambda layers, y: layers(y))
    for expected, got in zip(plain, run(twice if nested else once), strict=True):
        assert expected.tobytes() == got.tobytes()


def test_recompute_reaches_weights_when_no_input_requires_grad():
    layer = nn.Linear(3, 2, rng=np.random.default_rng(0))
    recompute(layer, Tensor(np.ones((4, 3), np.float32))).sum().backward()
    np.testing.assert_array_equal(layer.bias.grad, np.full(2, 4.0))


def test_recompute_of_several_outputs():
    rng = np.random.default_rng(0)
    x, w = (Tensor(rng.standard_normal(s), requires_grad=True) for s in ((2, 4), (4,)))
    y, s = recompute(lambda x, w: ops.add_rmsnorm(x * 2, x, w), x, w)
    (y.sum() + (s * s).sum()).backward()
    got = x.grad, w.grad
    x.grad = w.grad = None
    y, s = ops.add_rmsnorm(x * 2, x, w)
    (y.sum() + (s * s).sum()).backward()
    np.testing.assert_array_equal(got[0], x.grad)
    np.testing.assert_array_equal(got[1], w.grad)


def test_recompute_does_not_keep_what_it_computed():
    class Array(np.ndarray):
        pass

    x = Tensor(np.ones(3), requires_grad=True)
    refs = []

    def function(t):
        saved = np.ones(3).view(Array)
        refs.append(weakref.ref(saved))
        return Tensor(t.data * 1.0, (t,), lambda dy: (dy * np.asarray(saved),))

    y = recompute(function, x)
    assert refs[0]() is None
    y.sum().backward()
    assert len(refs) == 2 and refs[1]() is None
