"""adamw and sum_of_squares, every fast version against the float64 reference."""

import numpy as np
import pytest
from judge import WIDTHS, floats, worst

from kernels import numpy_ref

SETTINGS = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.1}


def state(*shape):
    return floats(0, *shape), floats(1, *shape), floats(2, *shape), floats(3, *shape) ** 2


def lists(arrays):
    """Each array as a list of one, as the ops take them."""
    return [[array] for array in arrays]


@pytest.mark.parametrize("width", [*WIDTHS, 100_003])
@pytest.mark.parametrize(("step", "grad_scale"), [(1, 1.0), (1000, 0.25)])
def test_one_step_agrees(fast, width, step, grad_scale):
    arrays = state(3, width)
    wide = [array.astype(np.float64) for array in arrays]
    fast.adamw_update(*lists(arrays), **SETTINGS, step=step, grad_scale=grad_scale)
    numpy_ref.adamw_update(*lists(wide), **SETTINGS, step=step, grad_scale=grad_scale)
    # 1 - beta2 is rounded to float32 before it multiplies; the parameter moves by some lr.
    for array, expected in zip(arrays, wide, strict=True):
        assert worst(array, expected) < 3e-7


SIZES = (1, 128, 5, 0, 100_003, 64 * 33, 17)  # ends of parts within arrays, and the other way round


def test_a_list_is_updated_as_its_arrays_one_by_one(fast):
    together, apart = ([state(size) for size in SIZES] for _ in range(2))
    fast.adamw_update(*map(list, zip(*together, strict=True)), **SETTINGS, step=7)
    for arrays in apart:
        fast.adamw_update(*lists(arrays), **SETTINGS, step=7)
    for ours, theirs in zip(together, apart, strict=True):
        for array, expected in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(array, expected)


def test_an_empty_list_is_no_work(fast):
    fast.adamw_update([], [], [], [], **SETTINGS, step=1)
    assert fast.sum_of_squares([]) == 0.0


def test_lists_of_different_lengths_are_refused(fast):
    param, grad, m, v = state(4)
    with pytest.raises(ValueError, match="zip"):
        fast.adamw_update([param, param.copy()], [grad], [m], [v], **SETTINGS, step=1)


def test_the_gradient_is_not_written(fast):
    param, grad, m, v = state(1000)
    before = grad.copy()
    fast.adamw_update([param], [grad], [m], [v], **SETTINGS, step=3, grad_scale=0.5)
    np.testing.assert_array_equal(grad, before)


def test_a_hundred_steps_stay_together(fast):
    param, _, m, v = state(999)
    m[:], v[:] = 0, 0
    other = [param.copy(), m.copy(), v.copy()]
    for step in range(1, 101):
        grad = floats(step, 999, scale=0.01)
        fast.adamw_update([param], [grad], [m], [v], **SETTINGS, step=step)
        numpy_ref.adamw_update(*lists([other[0], grad, *other[1:]]), **SETTINGS, step=step)
    assert worst(param, other[0]) < 2e-6


def test_no_gradient_and_no_state_only_decays(fast):
    param = floats(0, 17)
    before = param.copy()
    zero = [np.zeros(17, np.float32) for _ in range(3)]
    fast.adamw_update(*lists([param, *zero]), **SETTINGS, step=1)
    np.testing.assert_allclose(param, before * (1 - 1e-4), rtol=1e-6)


def test_a_view_cannot_be_updated_in_place(fast):
    arrays = [array[:, ::2] for array in state(3, 8)]
    with pytest.raises(ValueError, match="contiguous"):
        fast.adamw_update(*lists(arrays), **SETTINGS, step=1)


def test_shapes_that_differ_are_refused(fast):
    param, grad, m, v = state(4)
    with pytest.raises(ValueError, match=r"\(4,\).*\(3,\)"):
        fast.adamw_update([param], [grad[:3]], [m], [v], **SETTINGS, step=1)


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 1023, 1_000_003])
def test_sum_of_squares_is_accumulated_in_float64(fast, size):
    x = floats(0, size)
    result = fast.sum_of_squares([x])
    assert isinstance(result, float)
    np.testing.assert_allclose(result, numpy_ref.sum_of_squares([x.astype(np.float64)]), rtol=1e-13)


def test_sum_of_squares_runs_over_the_whole_list(fast):
    arrays = [floats(size, size) for size in SIZES]
    exact = numpy_ref.sum_of_squares([array.astype(np.float64) for array in arrays])
    np.testing.assert_allclose(fast.sum_of_squares(arrays), exact, rtol=1e-13)


def test_sum_of_squares_beyond_float32(fast):
    assert fast.sum_of_squares([np.full(100, 3e38, np.float32)]) == pytest.approx(9e78)
    assert fast.sum_of_squares([np.array([np.inf, 1], np.float32)]) == np.inf
    assert np.isnan(fast.sum_of_squares([np.array([np.nan, np.inf], np.float32)]))


def test_sum_of_squares_does_not_depend_on_the_number_of_threads(fast):
    import kernels

    x = floats(0, 3_000_017)
    arrays = [x[:7], x[7:100_000], x[100_000:]]
    before = kernels.get_num_threads()
    results = []
    for threads in (1, 2):
        kernels.set_num_threads(threads)
        results.append(fast.sum_of_squares(arrays))
    kernels.set_num_threads(before)
    assert results[0] == results[1]
