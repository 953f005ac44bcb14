"""Tensor itself: dtypes, operators, errors. Gradients of the operations: tests/ops."""

import numpy as np
import pytest

from minigrad import Tensor, ops, tensor


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
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(4, 5\)"):
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
    x = tensor([1.0, 2.0], requires_grad=True)
    assert np.asarray(x) is x.data
    assert np.asarray(x, dtype=np.float64).dtype == np.float64


def test_tensor_copies_and_Tensor_shares():
    data = np.ones(2, np.float32)
    assert not np.shares_memory(tensor(data).data, data)
    assert Tensor(data).data is data


def test_repr_shows_values_dtype_and_grad():
    text = repr(Tensor(np.ones(2), requires_grad=True))
    assert text == "Tensor([1., 1.], dtype=float64, requires_grad=True)"


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
