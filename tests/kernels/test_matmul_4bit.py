"""int4 and NF4: packing, and the dense layers on every backend and instruction set."""

import statistics

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernels import numpy_ref, packing


def random_weight(rng, scheme, n, k):
    groups = -(-k // packing.GROUP[scheme])
    codes = rng.integers(0, 16, (n, k), dtype=np.uint8)
    codes[rng.integers(0, n)] = rng.choice([0, 15])
    scale = rng.standard_normal((n, groups)).astype(np.float32)
    return packing.pack_4bit(scheme, codes, packing.scale_panels(scale)), codes, scale


@pytest.mark.parametrize("scheme", ["int4", "nf4"])
@settings(max_examples=30)
@given(rows=st.integers(1, 19), n=st.integers(1, 40), seed=st.integers(0, 2**32 - 1),
       k=st.integers(1, 200) | st.sampled_from([256, 768]))
def test_linear_equals_the_reference(fast, scheme, rows, n, k, seed):
    rng = np.random.default_rng(seed)
    weight, _, _ = random_weight(rng, scheme, n, k)
    x = rng.standard_normal((rows, k)).astype(np.float32)
    bias = rng.standard_normal(n).astype(np.float32)
    residual = rng.standard_normal((rows, n)).astype(np.float32)
    rest = (weight, bias, residual)
    y = getattr(fast, f"linear_{scheme}_forward")(x, *rest)
    expected = getattr(numpy_ref, f"linear_{scheme}_forward")(x, *rest)
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5 * (1 + np.abs(expected).max()))


@pytest.mark.parametrize("scheme", ["int4", "nf4"])
@pytest.mark.parametrize(("n", "k"), [(1, 1), (16, 64), (17, 65), (40, 100)])
def test_unpacking_undoes_packing(scheme, n, k):
    weight, codes, scale = random_weight(np.random.default_rng(n), scheme, n, k)
    levels = np.arange(-8, 8) if scheme == "int4" else packing.NF4_LEVELS
    spread = np.repeat(scale, packing.GROUP[scheme], axis=1)[:, :k]
    expected = (levels[codes] * spread).astype(np.float32)
    np.testing.assert_allclose(packing.dequantize(weight), expected, rtol=1e-6)
    rows = np.array([n - 1, 0, n - 1])
    np.testing.assert_allclose(packing.dequantize(weight, rows), expected[rows], rtol=1e-6)


def test_nf4_levels_are_the_papers():
    """QLoRA, appendix E: quantiles of N(0, 1), eight above zero, seven below, and zero."""
    normal, outermost = statistics.NormalDist(), 0.9677083
    above = [normal.inv_cdf(p) for p in np.linspace(outermost, 0.5, 9)[:-1]]
    below = [-normal.inv_cdf(p) for p in np.linspace(outermost, 0.5, 8)[:-1]]
    levels = np.sort(np.array([*above, 0.0, *below])) / max(above)
    np.testing.assert_allclose(packing.NF4_LEVELS, levels, atol=2e-6)


def test_a_code_above_15_is_an_error():
    with pytest.raises(ValueError, match="code 16"):
        packing.pack_4bit("int4", np.full((1, 32), 16, np.uint8), np.ones((1, 1, 16), np.float32))
