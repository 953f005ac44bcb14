"""embedding, every fast version against the reference: the same bytes."""

import numpy as np
import pytest
from judge import WIDTHS, floats

from kernels import numpy_ref


@pytest.mark.parametrize("width", WIDTHS)
def test_forward_copies_rows(fast, width):
    weight, ids = floats(0, 11, width), np.random.default_rng(1).integers(0, 11, (5, 7))
    np.testing.assert_array_equal(fast.embedding_forward(weight, ids), weight[ids])


@pytest.mark.parametrize("width", WIDTHS)
def test_backward_adds_in_the_order_of_the_ids(fast, width):
    ids = np.random.default_rng(1).integers(0, 11, (13, 17))
    dy = floats(0, 13, 17, width)
    expected = numpy_ref.embedding_backward(dy, ids, 12)
    np.testing.assert_array_equal(fast.embedding_backward(dy, ids, 12), expected)


def test_backward_does_not_depend_on_the_number_of_threads(fast):
    import kernels

    ids = np.random.default_rng(1).integers(0, 65, 3000)
    dy = floats(0, 3000, 192)
    before = kernels.get_num_threads()
    results = []
    for threads in (1, 2):
        kernels.set_num_threads(threads)
        results.append(fast.embedding_backward(dy, ids, 65).tobytes())
    kernels.set_num_threads(before)
    assert results[0] == results[1]


def test_no_ids(fast):
    ids = np.zeros((0,), np.int64)
    assert fast.embedding_forward(floats(0, 3, 4), ids).shape == (0, 4)
    assert not fast.embedding_backward(np.zeros((0, 4), np.float32), ids, 3).any()


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.uint64])
def test_ids_of_any_integer_type(fast, dtype):
    weight, ids = floats(0, 300, 8), np.array([299, 0, 256])
    np.testing.assert_array_equal(fast.embedding_forward(weight, ids.astype(dtype)), weight[ids])


def test_bad_ids_are_refused(fast):
    for bad in (3, -1):
        with pytest.raises(IndexError, match=f"id {bad} is outside the table of 3 rows"):
            fast.embedding_forward(floats(0, 3, 4), np.array([[0, bad]]))
    with pytest.raises(TypeError, match="float64"):
        fast.embedding_forward(floats(0, 3, 4), np.array([0.0]))
