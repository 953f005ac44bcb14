"""How fast kernels are compared with the float64 reference."""

import numpy as np

from kernels import packing

# One, a prime, one less and one more than each vector length (4, 8, 16), and real widths.
WIDTHS = (1, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 65, 192, 384)


def floats(seed, *shape, scale=1.0):
    """Normal float32 numbers."""
    return np.random.default_rng(seed).normal(0, scale, shape).astype(np.float32)


def exact(function, *args, **kwargs):
    """The reference on the same numbers in float64."""

    def widen(value):
        if isinstance(value, tuple):
            return tuple(map(widen, value))
        is_float = isinstance(value, np.ndarray) and value.dtype == np.float32
        return value.astype(np.float64) if is_float else value

    return function(*map(widen, args), **{name: widen(value) for name, value in kwargs.items()})


def worst(actual, expected, scale=None):
    """Largest |actual - expected| / scale; scale is the largest |expected| if not given."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    assert actual.dtype == np.float32
    if scale is None:
        scale = max(np.abs(expected).max(initial=0), np.finfo(np.float32).tiny)
    return (np.abs(actual - expected) / scale).max(initial=0)


def packed_weight(scheme, n, k, seed=0):
    """A Packed (n, k) of random codes and scales, these of both signs where the scheme has them."""
    rng = np.random.default_rng(seed)
    if scheme == "int8":
        codes = rng.integers(-128, 128, (n, k)).astype(np.int8)
        return packing.pack_int8(codes, rng.random(n, np.float32) / 64)
    parts = packing.layout(scheme, (n, k))
    codes = rng.integers(0, 256, parts["codes"][0], dtype=np.uint8)
    scale = rng.standard_normal(parts["scale"][0]).astype(parts["scale"][1])
    return packing.Packed(scheme, (n, k), codes, scale)
