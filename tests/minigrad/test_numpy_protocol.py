"""NumPy's functions on tensors: no gradient is lost in silence, and nothing else is refused."""

import numpy as np
import pytest

from minigrad import Tensor, no_grad, ops, tensor


def leaf():
    return tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)


@pytest.mark.parametrize(
    "call, ours",
    [(lambda x: np.stack([x, x]), "stack"), (lambda x: np.concatenate([x, x]), "concatenate"),
     (lambda x: np.concatenate((x.data, x)), "concatenate"), (lambda x: np.vstack([x, x]), "conc"),
     (lambda x: np.where(x > 0, x, 0), "where"), (lambda x: np.exp(x), "exp"),
     (lambda x: np.maximum(x, 0), "maximum"), (lambda x: np.sum(x), "sum"),
     (lambda x: np.mean(x, axis=0), "mean"), (lambda x: np.linalg.norm(x), "norm"),
     (lambda x: np.einsum("ij->", x), "einsum"), (lambda x: np.clip(x, 0, 1), "clip"),
     (lambda x: np.tile(x, 2), "tile"), (lambda x: np.reshape(x, -1), "reshape"),
     (lambda x: np.add.reduce(x), "add"), (lambda x: np.dot(x, x), "matmul"),
     (lambda x: np.absolute(x), "abs"), (lambda x: np.split(x, 2), "split")],
)
def test_numpys_function_is_refused_and_minigrads_named(call, ours):
    with pytest.raises(TypeError, match=rf"lose its gradient; use minigrad\.{ours}"):
        call(leaf())


@pytest.mark.parametrize(
    "call", [lambda x: np.array([x, x]), lambda x: np.asarray([x[0], x[1]]), np.asarray, np.float32]
)
def test_an_array_of_what_requires_grad_is_refused(call):
    with pytest.raises(TypeError, match=r"x\.data for the values, or stack"):
        call(leaf())


@pytest.mark.parametrize(
    "data", [lambda x: [x[0], x[1]], lambda x: x, lambda x: ((x[0, 0],),), lambda x: [1.0, x[0, 0]]]
)
def test_tensor_of_what_requires_grad_is_refused(data):
    with pytest.raises(TypeError, match=r"use stack\(\)"):
        tensor(data(leaf()))
    with no_grad():
        assert not tensor(data(leaf())).requires_grad


def test_tensor_of_plain_tensors_has_their_values():
    assert tensor([tensor(1.0), tensor(2.0)]).tolist() == [1.0, 2.0]
    assert tensor([[tensor([1, 2])], [tensor([3, 4])]]).shape == (2, 1, 2)


def test_plain_data_and_no_grad_hand_over_the_values():
    x = leaf()
    assert np.stack([x.detach(), x.detach()]).shape == (2, 2, 2)
    assert np.asarray(x.detach()) is x.data
    with no_grad():
        assert np.mean(x) == 2.5 and np.asarray(x) is x.data


def test_questions_are_answered():
    x = leaf()
    assert np.isfinite(x).all() and np.allclose(x, x.data) and np.shape(x) == (2, 2)
    assert np.argmax(x) == 3 and np.ndim(x) == 2 and np.array_equal(x, x.data)


def test_a_write_by_numpy_is_refused():
    with pytest.raises(ValueError, match="read-only"):
        np.copyto(tensor([1.0, 2.0]), 0.0)


@pytest.mark.parametrize(
    "operator", [lambda a, x: a + x, lambda a, x: a - x, lambda a, x: a * x, lambda a, x: a / x,
                 lambda a, x: a**x, lambda a, x: a @ x, lambda a, x: a % x])
@pytest.mark.parametrize("left", ["array", "number"])
def test_an_operator_with_an_array_on_its_left_is_minigrads(operator, left):
    a = np.float32([[2.0, 1.0], [0.5, 3.0]]) if left == "array" else np.float32(2)
    x = leaf()
    try:
        y = operator(a, x)
    except ValueError:
        assert left == "number"  # a number has no matrix product
        return
    assert isinstance(y, Tensor) and y.requires_grad and y.dtype == np.float32
    np.testing.assert_allclose(y.data, operator(a, x.data), rtol=1e-6)
    y.sum().backward()
    assert x.grad.any()


def test_comparisons_with_an_array_on_the_left():
    a, x = np.float32([[2.0, 1.0], [3.0, 5.0]]), leaf()
    for y, right in ((a < x, a < x.data), (a >= x, a >= x.data), (a == x, a == x.data)):
        assert isinstance(y, Tensor)
        np.testing.assert_array_equal(y.data, right)


def test_an_array_is_not_written_to_by_a_tensor():
    a = np.ones((2, 2), np.float32)
    with pytest.raises(TypeError, match="lose its gradient"):
        a += leaf()
    a += leaf().detach()
    assert a[0, 0] == 2


def test_masks_and_indices_reach_numpy():
    x = np.arange(6.0)
    assert x[tensor([1, 2])].tolist() == [1.0, 2.0]
    assert [10, 20, 30][tensor(2)] == 30
    with pytest.raises(TypeError):
        [10, 20][tensor(1.0)]
    assert ops.sum(tensor(x)[tensor(x) > 3]).item() == 9
