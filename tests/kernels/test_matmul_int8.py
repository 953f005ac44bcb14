"""matmul_int8: exact integers on every backend and instruction set; the layer's error bound."""

import os

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import numpy_ref, packing

# KERNELS_EXAMPLES=10000 is the soak of the issue; the default keeps the suite short.
EXAMPLES = int(os.environ.get("KERNELS_EXAMPLES", "40"))
EXTREMES = np.array([-128, -127, -1, 0, 1, 127], dtype=np.int8)


def exact(x, w):
    """The definition in 64-bit integers: independent of every kernel."""
    return x.astype(np.int64) @ w.astype(np.int64).T


def draw(rng, shape, kind):
    if kind == "extremes":
        return rng.choice(EXTREMES, shape)
    if kind == "lowest":
        return np.full(shape, -128, np.int8)
    if kind == "highest":
        return np.full(shape, 127, np.int8)
    return rng.integers(-128, 128, shape, dtype=np.int8)


def packed(w):
    return packing.pack_int8(w, np.ones(len(w), np.float32))


@settings(max_examples=EXAMPLES)
@given(
    rows=st.integers(1, 20),
    n=st.integers(1, 70),
    k=st.integers(1, 200) | st.sampled_from([256, 768, 3072]),
    kinds=st.tuples(*[st.sampled_from(["random", "extremes", "lowest", "highest"])] * 2),
    seed=st.integers(0, 2**32 - 1),
)
def test_matmul_int8_is_exact(fast, rows, n, k, kinds, seed):
    rng = np.random.default_rng(seed)
    x, w = draw(rng, (rows, k), kinds[0]), draw(rng, (n, k), kinds[1])
    y = fast.matmul_int8(x, packed(w))
    assert y.dtype == np.int32
    np.testing.assert_array_equal(y, exact(x, w))


def test_matmul_int8_where_maddubs_would_saturate(fast):
    x, w = np.full((1, 64), 127, np.int8), np.full((16, 64), -128, np.int8)
    assert (fast.matmul_int8(x, packed(w)) == -127 * 128 * 64).all()


def test_matmul_int8_at_the_longest_exact_sum(fast):
    k = 131071  # one below 2^31 / 2^14
    x, w = np.full((1, k), -128, np.int8), np.full((1, k), -128, np.int8)
    assert fast.matmul_int8(x, packed(w)).item() == 2**14 * k


@settings(max_examples=EXAMPLES)
@given(rows=st.integers(1, 9), k=st.integers(1, 99), seed=st.integers(0, 2**32 - 1),
       scale=st.sampled_from([1e-36, 1e-3, 1.0, 1e30]))
def test_quantize_rows_gives_the_references_integers(fast, rows, k, seed, scale):
    x = (np.random.default_rng(seed).standard_normal((rows, k)) * scale).astype(np.float32)
    x[0, : k // 2] = 0
    q, s = fast.quantize_rows(x)
    q_ref, s_ref = numpy_ref.quantize_rows(x)
    np.testing.assert_array_equal(q, q_ref)
    np.testing.assert_array_equal(s, s_ref)
    assert np.abs(q.astype(int)).max() <= 127


def test_a_row_of_zeros_has_scale_zero(fast):
    q, s = fast.quantize_rows(np.zeros((2, 17), np.float32))
    assert not q.any() and not s.any()


@pytest.mark.parametrize(("rows", "n", "k"), [(1, 1, 1), (1, 48, 33), (5, 17, 64), (19, 50, 192)])
def test_linear_int8_equals_the_reference(fast, rows, n, k):
    rng = np.random.default_rng(rows * n)
    x = rng.standard_normal((rows, k)).astype(np.float32)
    weight = packing.pack_int8(
        rng.integers(-127, 128, (n, k), dtype=np.int8), rng.random(n, np.float32) / 64
    )
    bias, residual = rng.standard_normal(n), rng.standard_normal((rows, n))
    rest = (bias.astype(np.float32), residual.astype(np.float32))
    y = fast.linear_int8_forward(x, weight, *rest)
    expected = numpy_ref.linear_int8_forward(x, weight, *rest)
    np.testing.assert_allclose(y, expected, rtol=3e-6, atol=3e-6 * np.abs(expected).max())


@pytest.mark.parametrize("k", [1, 31, 256, 1000])
def test_linear_int8_stays_within_its_stated_error_bound(fast, k):
    rng = np.random.default_rng(k)
    x = rng.standard_normal((7, k)).astype(np.float32) * 3
    w = rng.standard_normal((20, k)).astype(np.float32)
    codes, scale = numpy_ref.quantize_rows(w)
    y = fast.linear_int8_forward(x, packing.pack_int8(codes, scale))
    a, b = np.abs(x).max(axis=1, keepdims=True), np.abs(w).max(axis=1)
    sum_x, sum_w = np.abs(x).sum(axis=1, keepdims=True), np.abs(w).sum(axis=1)
    bound = a / 254 * sum_w + b / 254 * sum_x + k * a * b / 254**2
    error = np.abs(y - x.astype(np.float64) @ w.T.astype(np.float64))
    assert (error <= bound * (1 + 1e-5)).all()


def test_unpacking_undoes_packing():
    rng = np.random.default_rng(0)
    for n, k in [(1, 1), (16, 4), (17, 5), (50, 64)]:
        w = rng.integers(-128, 128, (n, k), dtype=np.int8)
        np.testing.assert_array_equal(packing.unpack_int8(packed(w)), w)
        rows = np.array([[n - 1, 0]])
        np.testing.assert_array_equal(packing.unpack_int8(packed(w), rows), w[rows])


def test_wrong_arguments_are_named(fast):
    weight = packed(np.zeros((3, 8), np.int8))
    with pytest.raises(ValueError, match=r"x must have shape \(..., 8\), not \(2, 7\)"):
        fast.matmul_int8(np.zeros((2, 7), np.int8), weight)
    with pytest.raises(TypeError, match="int8, not float32"):
        fast.matmul_int8(np.zeros((2, 8), np.float32), weight)
    with pytest.raises(ValueError, match="packed as int8, not int4"):
        fast.linear_int4_forward(np.zeros((2, 8), np.float32), weight)
