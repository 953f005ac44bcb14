"""matmul.c and linear.c on every instruction set, against float64."""

import itertools

import numpy as np
import pytest

from kernels import memory, numpy_ref, threads
from kernels.numpy_ref.linear import activate

# Edges of tiles (6, 14 rows; 8, 16, 32 columns), of DEPTH (256), a block and a chunk; primes.
SHAPES = [
    (1, 1, 1), (1, 33, 7), (3, 65, 1), (14, 32, 256), (15, 33, 257), (97, 65, 300),
    (131, 127, 1100), (200, 300, 5), (40, 700, 2100), (300, 17, 1025), (5, 1, 9), (67, 31, 15),
    (2, 1000, 64), (7, 9, 512), (13, 257, 3), (150, 170, 1300),  # few rows, two chunks
]
LAYOUTS = list(itertools.product("nt", "nt"))


@pytest.fixture
def c(isa):
    import kernels.c

    return kernels.c


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def assert_close(found, exact, inner):
    """A partial sum of standard normal products is about sqrt(k), and each of the `inner` additions
    rounds it by 2^-24 of that; the largest of many errors is some 2^-22 inner."""
    assert found.dtype == np.float32
    assert found.shape == exact.shape
    assert np.abs(found - exact).max(initial=0) <= 2**-22 * inner + 2**-19


def doubles(*arrays):
    return [None if a is None else a.astype(np.float64) for a in arrays]


@pytest.mark.parametrize("size", SHAPES, ids=str)
def test_products_of_every_layout(c, size):
    M, N, K = size
    for left, right in LAYOUTS:
        a = normal(1, M, K) if left == "n" else normal(1, K, M).T
        b = normal(2, K, N) if right == "n" else normal(2, N, K).T
        assert_close(c.matmul_forward(a, b), np.matmul(*doubles(a, b)), K)


@pytest.mark.parametrize(
    "shapes",
    [
        ((3, 5, 7), (3, 7, 9)), ((2, 3, 20, 16), (2, 3, 16, 33)), ((4, 6, 8), (8, 5)),
        ((6, 8), (5, 8, 3)), ((2, 1, 4, 8), (3, 8, 2)), ((1, 40, 40), (1, 40, 40)),
    ],
    ids=str,
)
def test_batches_and_their_gradients(c, shapes):
    a, b = normal(1, *shapes[0]), normal(2, *shapes[1])
    exact = np.matmul(*doubles(a, b))
    assert_close(c.matmul_forward(a, b), exact, a.shape[-1])
    dc = normal(3, *exact.shape)
    found = c.matmul_backward(dc, a, b)
    for grad, wanted in zip(found, numpy_ref.matmul_backward(*doubles(dc, a, b)), strict=True):
        assert_close(grad, wanted, wanted.size and dc.size)


def test_a_large_batch_gives_each_thread_room_of_its_own(c):
    # Each product packs a whole chunk of b, so that a thread with too little scratch would show.
    a, b = normal(1, 7, 100, 500), normal(2, 7, 500, 520)
    before = threads.get_num_threads()
    try:
        for count in (1, 2, 3, 7, 9):
            threads.set_num_threads(count)
            memory.pool.clear()
            memory._local.__dict__.clear()  # no room left from larger calls
            assert_close(c.matmul_forward(a, b), np.matmul(*doubles(a, b)), 500)
    finally:
        threads.set_num_threads(before)


def test_views_are_taken_in_place_or_copied(c):
    x = normal(1, 4, 30, 3, 8)  # heads side by side, as attention has them
    a = x[:, :, 1].swapaxes(-1, -2)  # (4, 8, 30), rows contiguous
    b = x[:, :, 2]
    assert_close(c.matmul_forward(a, b), np.matmul(*doubles(a, b)), 30)
    strange = normal(2, 20, 60)[::2, ::3]  # no contiguous axis
    assert_close(c.matmul_forward(strange, strange.T), np.matmul(*doubles(strange, strange.T)), 20)


@pytest.mark.parametrize("shapes", [((0, 4), (4, 3)), ((3, 4), (4, 0)), ((0, 3, 4), (0, 4, 2))])
def test_empty_results(c, shapes):
    a, b = (np.zeros(shape, np.float32) for shape in shapes)
    assert c.matmul_forward(a, b).shape == np.matmul(a, b).shape


def test_an_empty_sum_is_zero(c):
    a, b = np.zeros((5, 0), np.float32), np.zeros((0, 7), np.float32)
    np.testing.assert_array_equal(c.matmul_forward(a, b), np.zeros((5, 7)))


@pytest.mark.parametrize(
    "size", [(150, 130, 700), (150, 170, 1300), (20, 1100, 300), (3, 500, 64), (1024, 64, 32)]
)
def test_the_number_of_threads_changes_no_bit(c, size):
    M, N, K = size
    a, b = normal(1, M, K), normal(2, N, K).T
    before = threads.get_num_threads()
    results = []
    try:
        for count in (1, 2, 3):
            threads.set_num_threads(count)
            results.append(c.matmul_forward(a, b).tobytes())
    finally:
        threads.set_num_threads(before)
    assert len(set(results)) == 1


def test_infinities_and_nans_stay_in_their_row_and_column(c):
    a, b = np.ones((20, 40), np.float32), np.ones((40, 50), np.float32)
    a[3, 5], b[7, 11] = np.inf, np.nan
    found = c.matmul_forward(a, b)
    assert np.isnan(found[:, 11]).all()
    assert np.isinf(np.delete(found, 11, 1)[3]).all()
    assert (np.delete(np.delete(found, 3, 0), 11, 1) == 40).all()


def test_errors_name_both_shapes(c):
    with pytest.raises(ValueError, match=r"b must .*\(\*, 3, N\), not \(4, 5\), beside a \(2, 3\)"):
        c.matmul_forward(np.zeros((2, 3), np.float32), np.zeros((4, 5), np.float32))
    with pytest.raises(ValueError, match=r"a must have shape \(\*, M, K\), not \(3,\)"):
        c.matmul_forward(np.zeros(3, np.float32), np.zeros((3, 5), np.float32))
    with pytest.raises(ValueError, match=r"broadcast: a \(2, 3, 3\), b \(4, 3, 3\)"):
        c.matmul_forward(np.zeros((2, 3, 3), np.float32), np.zeros((4, 3, 3), np.float32))
    with pytest.raises(TypeError, match="float"):
        c.matmul_forward(np.zeros((2, 3), np.int64), np.zeros((3, 5), np.float32))


# rows, in, out; the last reads x in place, in steps of k
LINEAR = [(1, 5, 3), (7, 16, 33), (150, 70, 65), (29, 300, 600), (2, 64, 300), (210, 600, 65)]


@pytest.mark.parametrize("activation", [None, "gelu", "relu2", "silu", "relu", "gelu_erf"])
@pytest.mark.parametrize("size", LINEAR, ids=str)
def test_linear_and_all_that_surrounds_it(c, size, activation):
    rows, inside, outside = size
    x, weight = normal(1, rows, inside), normal(2, outside, inside) / np.float32(inside**0.5)
    for has_bias, has_residual in itertools.product((False, True), repeat=2):
        bias = normal(3, outside) if has_bias else None
        residual = normal(4, rows, outside) if has_residual else None
        y = c.linear_forward(x, weight, bias, activation, residual)
        x64, w64, b64, r64 = doubles(x, weight, bias, residual)
        wanted = numpy_ref.linear_forward(x64, w64, b64, activation, r64)
        np.testing.assert_allclose(y, wanted, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("activation", [None, "gelu", "relu2", "silu", "relu", "gelu_erf"])
@pytest.mark.parametrize("size", LINEAR, ids=str)
def test_linear_backward(c, size, activation):
    rows, inside, outside = size
    dy, x, weight = normal(0, rows, outside), normal(1, rows, inside), normal(2, outside, inside)
    slope = max(1, np.abs(activate(x, activation)).max())
    for bias in (None, normal(4, outside)):
        found = c.linear_backward(dy, x, weight, activation, bias)
        wanted = numpy_ref.linear_backward(*doubles(dy, x, weight), activation, *doubles(bias))
        for grad, exact in zip(found, wanted, strict=True):
            assert (grad is None) == (exact is None)
            if exact is not None:
                assert_close(grad, exact, 2 * slope * max(rows, outside))


def test_linear_of_one_column_and_of_more_numbers_than_the_room_for_thin_ones(c):
    for rows, inside, outside in [(5, 1, 9), (9, 7, 1), (2, 140_000, 3)]:
        x, weight = normal(1, rows, inside), normal(2, outside, inside)
        y = c.linear_forward(x, weight, None, "gelu")
        wanted = numpy_ref.linear_forward(*doubles(x, weight), None, "gelu")
        np.testing.assert_allclose(y, wanted, rtol=1e-4, atol=1e-6 * inside)


def test_linear_takes_leading_axes_and_no_rows(c):
    x, weight = normal(1, 2, 3, 8), normal(2, 5, 8)
    y = c.linear_forward(x, weight)
    assert y.shape == (2, 3, 5)
    y = c.linear_forward(x[:0], weight)
    assert y.shape == (0, 3, 5)
    dx, dweight, dbias = c.linear_backward(y, x[:0], weight, None, weight[:, 0])
    assert dx.shape == (0, 3, 8) and not dweight.any() and not dbias.any()


def test_linear_takes_no_inputs(c):
    x, weight, bias = np.zeros((3, 0), np.float32), np.zeros((5, 0), np.float32), normal(1, 5)
    y = c.linear_forward(x, weight, bias)
    np.testing.assert_array_equal(y, np.tile(bias, (3, 1)))
    dx, dweight, dbias = c.linear_backward(y, x, weight, None, bias)
    assert dx.shape == (3, 0) and dweight.shape == (5, 0)
    np.testing.assert_allclose(dbias, 3 * bias, rtol=1e-6)


def test_linear_errors(c):
    with pytest.raises(ValueError, match=r"weight must .*\(out, 3\), not \(5, 4\), beside x"):
        c.linear_forward(np.zeros((2, 3), np.float32), np.zeros((5, 4), np.float32))
    with pytest.raises(ValueError, match="unknown activation 'swish'"):
        c.linear_forward(np.zeros((2, 4), np.float32), np.zeros((5, 4), np.float32), None, "swish")
