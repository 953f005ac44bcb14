"""The accuracy that simd_math.h states, measured against float64 over a sweep of the range."""

import numpy as np


def evaluate(name, x):
    from kernels.c import library

    y = np.empty_like(x)
    getattr(library.lib, name)(library.pointer(x), library.pointer(y), x.size)
    return y


def test_exp_is_within_its_stated_error(isa):
    x = np.linspace(-86.6, 0, 2_000_003, dtype=np.float32)
    exact = np.exp(x.astype(np.float64))
    relative = np.abs(evaluate("exp_array", x) - exact) / exact
    rounded_twice = 6e-8 if isa == "generic" else 0
    assert (relative <= 4e-7 + rounded_twice * np.abs(x)).all()


def test_exp_at_the_ends(isa):
    x = np.array([-np.inf, -3e38, -110, -86.7, -0.0, 0, np.nan], np.float32)
    np.testing.assert_array_equal(evaluate("exp_array", x), [0, 0, 0, 0, 1, 1, np.nan])


def test_tanh_is_within_its_stated_error(isa):
    x = np.linspace(-12, 12, 2_000_003, dtype=np.float32)
    x = x[x != 0]
    exact = np.tanh(x.astype(np.float64))
    assert (np.abs(evaluate("tanh_array", x) - exact) <= 4e-7 * np.abs(exact)).all()


def test_tanh_at_the_ends(isa):
    x = np.array([-np.inf, -3e38, -0.0, 0, 1e-30, 3e38, np.inf, np.nan], np.float32)
    y = np.array([-1, -1, 0, 0, 1e-30, 1, 1, np.nan], np.float32)
    np.testing.assert_array_equal(evaluate("tanh_array", x), y)
