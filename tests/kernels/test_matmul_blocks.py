"""q4_1 and q8_0: the dense layers on every backend and instruction set."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judge import exact, floats, packed_weight, worst

from kernels import numpy_ref, packing, threads

BLOCKS = ("q4_1", "q8_0")


@pytest.mark.parametrize("scheme", BLOCKS)
@settings(max_examples=30)
@given(rows=st.integers(1, 19), n=st.integers(1, 40), seed=st.integers(0, 2**32 - 1),
       k=st.integers(1, 200) | st.sampled_from([256, 576]))
def test_linear_equals_the_reference(fast, scheme, rows, n, k, seed):
    rng = np.random.default_rng(seed)
    # Every number a multiple of its block's scale: nothing is a tie that sums could tip.
    x = rng.integers(-127, 128, (rows, k)).astype(np.float32)
    x[:, ::32] = 127
    bias, residual = floats(seed, n), floats(seed, rows, n)
    rest = (packed_weight(scheme, n, k, seed), bias, residual)
    y = getattr(fast, f"linear_{scheme}_forward")(x, *rest)
    expected = exact(getattr(numpy_ref, f"linear_{scheme}_forward"), x, *rest)
    assert worst(y, expected) < 3e-6


@pytest.mark.parametrize("scheme", BLOCKS)
def test_a_block_of_x_is_rounded_by_its_own_scale(fast, scheme):
    """One channel a thousand times the others costs those of its block, and no more."""
    weight, x = packed_weight(scheme, 40, 128), floats(0, 5, 128)
    x[:, 70] *= 1000
    right = x.astype(np.float64) @ packing.dequantize(weight).T
    outlier = np.zeros_like(x)
    outlier[:, 64:96] = x[:, 64:96]
    y = getattr(fast, f"linear_{scheme}_forward")(x, weight)
    without = y - getattr(fast, f"linear_{scheme}_forward")(outlier, weight)
    right -= outlier.astype(np.float64) @ packing.dequantize(weight).T
    assert np.abs(without - right).max() < 0.01 * np.abs(right).max()


@pytest.mark.parametrize("scheme", BLOCKS)
def test_the_largest_codes_and_numbers_do_not_overflow(fast, scheme):
    """All codes the largest, all of x +-127: AVX2 sums a block of halves in 16 bits."""
    parts = packing.layout(scheme, (16, 96))
    codes = np.full(parts["codes"][0], 255, np.uint8)
    scale = np.ones(parts["scale"][0], np.float16)
    weight = packing.Packed(scheme, (16, 96), codes, scale)
    x = np.repeat(np.array([[1, -1]], np.float32), 96, axis=0).T.copy()
    y = getattr(fast, f"linear_{scheme}_forward")(x, weight)
    one = 16 if scheme == "q4_1" else 127
    np.testing.assert_allclose(y, np.outer([1, -1], np.full(16, 96.0 * one)), rtol=1e-6)


@pytest.mark.parametrize("scheme", BLOCKS)
def test_y_does_not_depend_on_the_number_of_threads_or_rows(isa, scheme):
    c = pytest.importorskip("kernels.c")
    forward = getattr(c, f"linear_{scheme}_forward")
    weight, x = packed_weight(scheme, 200, 224), floats(0, 270, 224)
    before, results = threads.get_num_threads(), []
    try:
        for count in (1, 3):
            threads.set_num_threads(count)
            results.append(forward(x, weight))
    finally:
        threads.set_num_threads(before)
    np.testing.assert_array_equal(*results)
    np.testing.assert_array_equal(results[0][265:], forward(x[265:], weight))
