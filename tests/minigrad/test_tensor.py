"""Tensor itself: dtypes, operators, errors. Gradients of the operations: tests/ops."""

import numpy as np
import pytest

import minigrad
from minigrad import Tensor, check_grads, nn, ops, tensor


def test_python_floats_become_float32_and_numpys_keep_their_dtype():
    assert tensor([1.0, 2.0]).dtype == np.float32
    assert Tensor(3.0).dtype == np.float32
    assert Tensor(np.float64(3.0)).dtype == np.float64
    assert Tensor(np.ones(2)).dtype == np.float64
    assert tensor([1, 2]).dtype == np.int64


@pytest.mark.parametrize("dtype", [np.float16, np.complex64, object])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(TypeError, match="float32, float64, integers or booleans"):
        Tensor(np.ones(2, dtype=dtype))


def test_integers_hold_data_but_no_gradient():
    with pytest.raises(TypeError, match="only float32 and float64 tensors can require grad"):
        tensor([1, 2], requires_grad=True)


def test_float32_and_float64_do_not_mix():
    a, b = Tensor(np.ones(2, np.float32)), Tensor(np.ones(2))
    with pytest.raises(TypeError, match="mul: float32 and float64"):
        a * b


@pytest.mark.parametrize("number", [2, 2.5, np.float64(2.5), np.int64(2), True])
def test_numbers_take_the_tensors_dtype(number):
    x = Tensor(np.ones(2, np.float32))
    for y in (x + number, number + x, x * number, number / x, x - number, number - x, x**number):
        assert y.dtype == np.float32


def test_integer_and_boolean_operands_take_the_floating_dtype():
    x = Tensor(np.float32([1, 2]), requires_grad=True)
    y = x * np.array([3, 4]) + Tensor(np.array([True, False]))
    np.testing.assert_array_equal(y.data, np.float32([4, 8]))
    assert y.dtype == np.float32


@pytest.mark.parametrize("op", ["add", "sub", "mul", "div", "pow", "maximum", "minimum"])
def test_shapes_that_do_not_broadcast_are_both_named(op):
    with pytest.raises(ValueError, match=rf"{op}: shapes \(2, 3\) and \(4,\) do not broadcast"):
        getattr(ops, op)(Tensor(np.ones((2, 3))), Tensor(np.ones(4)))


def test_matmul_with_other_inner_sizes_names_both_shapes():
    with pytest.raises(ValueError, match=r"\(4, 5\), beside a \(2, 3\)"):
        Tensor(np.ones((2, 3))) @ Tensor(np.ones((4, 5)))


def test_an_array_on_the_left_gives_a_tensor():
    y = np.ones(2, np.float32) + Tensor(np.ones(2, np.float32), requires_grad=True)
    assert isinstance(y, Tensor) and y.requires_grad


def test_comparisons_give_booleans_without_gradient():
    x = tensor([1.0, 2.0, 3.0], requires_grad=True)
    for y in (x < 2, x <= 2, x > 2, x >= 2, x == 2, x != 2):
        assert y.dtype == bool and not y.requires_grad
    np.testing.assert_array_equal((x >= 2).data, [False, True, True])


def test_a_tensor_is_hashable_by_identity():
    x = tensor([1.0, 2.0])
    assert {x: 1}[x] == 1


def test_asarray_gives_the_data():
    x = tensor([1.0, 2.0])
    assert np.asarray(x) is x.data
    assert np.asarray(x, dtype=np.float64).dtype == np.float64


def test_tensor_copies_and_Tensor_shares():
    data = np.ones(2, np.float32)
    assert not np.shares_memory(tensor(data).data, data)
    assert Tensor(data).data is data


def test_repr_shows_values_dtype_and_grad():
    text = repr(Tensor(np.ones(2), requires_grad=True))
    assert text == "Tensor([1., 1.], dtype=float64, requires_grad=True)"
    assert repr(tensor([2.0], requires_grad=True) * 3) == "Tensor([6.], grad_fn=<mul>)"


def test_one_element_is_formatted_as_a_number():
    assert f"{tensor(2.0):.4f} {tensor([3]):03d} {tensor(1.5)}" == "2.0000 003 Tensor(1.5)"
    with pytest.raises(TypeError, match="format"):
        f"{tensor([1.0, 2.0]):.4f}"


def test_size_is_a_number_and_answers_like_pytorchs():
    x = tensor(np.zeros((2, 3), np.float32))
    assert x.size == 6 and x.size() == (2, 3) and x.size(1) == 3 and x.numel() == 6


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "sin", "sigmoid", "mean", "var", "norm"])
def test_integers_are_computed_with_in_float32(name):
    y = getattr(tensor([1, 2, 3]), name)()
    assert y.dtype == np.float32
    np.testing.assert_allclose(y.data, getattr(tensor([1.0, 2.0, 3.0]), name)().data)


def test_a_variance_with_nothing_left_to_divide_by_is_nan():
    x = tensor([[1.0, 2.0]], requires_grad=True)
    for name in ("var", "std"):
        with pytest.warns(RuntimeWarning):
            y = getattr(x, name)(axis=0, ddof=1)
        y.sum().backward()
        assert np.isnan(y.data).all() and np.isnan(x.grad).all()


def test_a_power_of_zero():
    x = tensor([0.0, 1.0, 2.0], requires_grad=True)
    y = 0**x
    y.sum().backward()
    assert y.tolist() == [1.0, 0.0, 0.0] and x.grad.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    "call, instead",
    [(lambda x: x.max(dim=1), "argmax"), (lambda x: x.var(dim=0), "correction=1"),
     (lambda x: x.std(dim=0), "correction=1"), (lambda x: x.split(2, dim=0), "chunk"),
     (lambda x: x.sum(dim=0, axis=0), "give one"), (lambda x: ops.sum(x, 1, dim=0), "give one"),
     (lambda x: ops.exp(x.data), "wrap it"), (lambda x: x.clip(x, x), "maximum")],
)
def test_what_would_mean_something_else_is_refused_with_what_to_write(call, instead):
    with pytest.raises(TypeError, match=instead):
        call(tensor([[1.0, 2.0], [3.0, 4.0]]))


@pytest.mark.parametrize("name", ["cuda", "zero_", "topk", "retain_grad"])
def test_an_attribute_that_is_not_there_says_what_to_write(name):
    x = tensor([1.0])
    assert not hasattr(x, name)
    with pytest.raises(AttributeError, match=f"'{name}': "):
        getattr(x, name)


def test_another_device_is_refused():
    for thing in (tensor([1.0]), nn.Linear(2, 2, rng=0)):
        assert thing.to("cpu") is thing
        with pytest.raises(RuntimeError, match=r"leave \.to\('cuda:0'\) out"):
            thing.to("cuda:0")


def test_einsum_reads_what_numpy_reads():
    rng = np.random.default_rng(0)
    for equation, *shapes in [("...ij,jk", (2, 3, 4), (4, 5)), ("i...,i...->...", (3, 2), (3, 2)),
                              ("...,...", (2, 3), (3,)), ("ba", (2, 3)), ("ij,jk", (2, 3), (3, 2)),
                              ("ii...->i...", (3, 3, 2)), (",ij->ij", (), (2, 3))]:
        arrays = [rng.standard_normal(shape) for shape in shapes]
        xs = [Tensor(a, requires_grad=True) for a in arrays]
        y = ops.einsum(equation, *xs)
        np.testing.assert_allclose(y.data, np.einsum(equation, *arrays))
        check_grads(lambda *xs, equation=equation: ops.einsum(equation, *xs), arrays)


@pytest.mark.parametrize("equation", ["ij,jk->ik", "i->i", "ijk->i", "ij->ik"])
def test_einsum_that_does_not_fit_says_so(equation):
    with pytest.raises(ValueError, match="einsum"):
        ops.einsum(equation, Tensor(np.ones((2, 3))))


def test_a_products_gradient_stands_zeros():
    x = Tensor(np.array([[2.0, 0.0, 3.0], [0.0, 0.0, 4.0]]), requires_grad=True)
    x.prod(axis=1).sum().backward()
    np.testing.assert_array_equal(x.grad, [[0, 6, 0], [0, 0, 0]])


@pytest.mark.parametrize("ord", [1, 1.5, 2, 3, np.inf])
def test_norms_of_other_orders(ord):
    x = np.random.default_rng(0).standard_normal((3, 4))
    y = ops.norm(Tensor(x), ord, axis=1)
    np.testing.assert_allclose(y.data, np.linalg.norm(x, ord, axis=1))
    check_grads(lambda x: ops.norm(x, ord, axis=1), [x])


def test_drawing_wants_a_seed_or_a_generator():
    assert (minigrad.rand(2, 3, rng=0).data == minigrad.rand((2, 3), rng=0).data).all()
    rng = np.random.default_rng(0)
    assert (minigrad.randn(3, rng=rng).data != minigrad.randn(3, rng=rng).data).any()
    with pytest.raises(TypeError, match="rng"):
        minigrad.rand(2)
    with pytest.raises(AttributeError, match="rng=0"):
        minigrad.manual_seed(0)


def test_item_and_float_of_one_element():
    assert tensor([2.5]).item() == 2.5
    assert float(tensor(2.5)) == 2.5


def test_requires_grad_cannot_be_switched_on_a_result():
    y = tensor([1.0], requires_grad=True) * 2
    with pytest.raises(RuntimeError, match="only a leaf"):
        y.requires_grad_(False)


def test_an_operation_on_a_bare_array_says_to_wrap_it():
    with pytest.raises(TypeError, match="expected a Tensor, not ndarray; wrap it"):
        ops.softmax(np.ones(3))


def test_reshape_to_another_size_names_both():
    with pytest.raises(ValueError, match=r"\(2, 3\) has 6 elements"):
        Tensor(np.ones((2, 3))).reshape(4, 2)


def test_split_that_does_not_fit_says_so():
    with pytest.raises(ValueError, match=r"split: axis 0 of \(5,\) has length 5"):
        Tensor(np.ones(5)).split(2)


def test_dot_of_more_than_two_axes_is_refused():
    # NumPy's dot sums over other axes than matmul there, and PyTorch's takes vectors only.
    x, y = tensor([[1.0, 2.0]]), tensor([3.0, 4.0])
    assert x.dot(y).tolist() == [11.0]
    stacked = tensor([[[1.0, 2.0], [3.0, 4.0]]])
    with pytest.raises(ValueError, match="write a @ b"):
        stacked.dot(stacked)
