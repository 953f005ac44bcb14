"""0-d tensors: the first example of every course on autograd."""

import numpy as np
import pytest

from minigrad import Tensor, nn, ops, optim, tensor


def number(value=3.0, dtype=np.float32):
    return Tensor(np.array(value, dtype), requires_grad=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "f, slope",
    [(lambda x: x * x, 6), (lambda x: x * x * x, 27), (lambda x: 2 / x, -2 / 9),
     (lambda x: x**2 + x, 7), (lambda x: 2**x, 8 * np.log(2)), (lambda x: x - x * x, -5),
     (lambda x: (x * x).exp().log(), 6), (lambda x: x.tanh() * 0 + x.sqrt(), 0.5 / np.sqrt(3)),
     (lambda x: ops.maximum(x, 1.0) * x, 6), (lambda x: x.clip(0, 5) * x.relu() + abs(x), 7),
     (lambda x: x % 2, 1), (lambda x: ops.where(x > 0, x * x, x), 6),
     (lambda x: ops.stack([x, x * x]).sum(), 7), (lambda x: x.reshape(1)[0] * x, 6),
     (lambda x: ops.einsum(",->", x, x), 6), (lambda x: ops.mse_loss(x, tensor(1.0).to(x)), 4)],
)
def test_gradient_of_a_number(f, slope, dtype):
    x = number(dtype=dtype)
    y = f(x)
    assert y.shape == () and y.dtype == dtype
    y.backward()
    assert type(x.grad) is np.ndarray and x.grad.shape == () and x.grad.dtype == dtype
    np.testing.assert_allclose(x.grad, slope, rtol=1e-6)


@pytest.mark.parametrize("axis", [None, 0, -1, ()])
@pytest.mark.parametrize(
    "name, slope", [("sum", 1), ("mean", 1), ("prod", 1), ("max", 1), ("min", 1), ("norm", 1),
                    ("logsumexp", 1), ("var", 0), ("std", 0)])
def test_a_reduction_over_the_axis_of_a_number(name, slope, axis):
    x = number()
    y = getattr(x, name)(axis=axis)
    y.backward()
    assert y.shape == () and x.grad.shape == () and x.grad == slope


@pytest.mark.parametrize("call", [lambda x: x.cumsum(0), lambda x: x.softmax(0),
                                  lambda x: ops.softmax(x), lambda x: x.log_softmax(-1)])
def test_what_keeps_the_shape_keeps_it(call):
    y = call(number())
    y.backward()
    assert y.shape == ()


def test_an_axis_that_is_not_there_is_refused():
    for x, axis in ((number(), 1), (tensor([1.0]), 1), (tensor([1.0]), -2)):
        with pytest.raises(IndexError, match=f"axis {axis}"):
            x.sum(axis=axis)


@pytest.mark.parametrize("call", [sum, list, tuple, iter, len, lambda x: 3.0 in x, sorted, max])
def test_a_number_is_no_sequence(call):
    with pytest.raises(TypeError, match="0-d tensor"):
        call(number())


def test_a_row_iterates_contains_and_counts():
    x = tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    assert 3.0 in x and 5.0 not in x and len(x) == 2
    first, second = x
    (first * second).sum().backward()
    np.testing.assert_array_equal(x.grad, np.float32([[3, 4], [1, 2]]))


def test_an_optimizer_moves_a_number():
    for make in (optim.SGD, optim.Adam, optim.AdamW):
        w = nn.Parameter(tensor(3.0))
        optimizer = make([w], lr=0.1)
        (w * w).backward()
        optimizer.step()
        assert w.shape == () and w.item() < 3 and w.grad == 6
