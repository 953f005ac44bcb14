"""The accuracy that simd_math.h states, measured against float64 over a sweep of the range."""

import numpy as np


def evaluate(name, x):
    from kernels.c import library

    y = np.empty_like(x)
    getattr(library.lib, name)(library.pointer(x), library.pointer(y), x.size)
    return y


def worst_ulps(y, exact):
    """Largest error of float32 y, in units in the last place of the exact value."""
    return (np.abs(y - exact) / np.spacing(np.abs(exact).astype(np.float32))).max()


def test_exp_is_within_its_stated_error(isa):
    x = np.linspace(-86.6, 88.7, 2_000_003, dtype=np.float32)
    assert worst_ulps(evaluate("exp_array", x), np.exp(x.astype(np.float64))) <= 1.2


def test_exp_at_the_ends(isa):
    x = np.array([-np.inf, -110, -0.0, 89, np.inf, np.nan], np.float32)
    np.testing.assert_array_equal(evaluate("exp_array", x), [0, 0, 1, np.inf, np.inf, np.nan])


def test_exp_near_and_below_the_smallest_normal_number_may_be_zero(isa):
    x = np.linspace(-104, -86.6, 10_007, dtype=np.float32)
    y, exact = evaluate("exp_array", x), np.exp(x.astype(np.float64))
    assert ((y == 0) | (np.abs(y - exact) <= 2e-45 + 3e-7 * exact)).all()


def test_falling_exp_is_within_its_stated_error(isa):
    x = np.linspace(-86.6, 0, 2_000_003, dtype=np.float32)
    exact = np.exp(x.astype(np.float64))
    relative = np.abs(evaluate("exp_falling_array", x) - exact) / exact
    rounded_twice = 6e-8 if isa == "generic" else 0
    assert (relative <= 4e-7 + rounded_twice * np.abs(x)).all()


def test_falling_exp_at_the_ends(isa):
    x = np.array([-np.inf, -3e38, -110, -86.7, -0.0, 0, np.nan], np.float32)
    y = evaluate("exp_falling_array", x)
    np.testing.assert_array_equal(y, [0, 0, 0, 0, 1, 1, np.nan])


def test_tanh_is_within_its_stated_error(isa):
    wide = np.linspace(-12, 12, 1_000_003, dtype=np.float32)
    tiny = np.logspace(-30, 0, 1_000_003, dtype=np.float32)
    x = np.concatenate([wide[wide != 0], tiny])
    assert worst_ulps(evaluate("tanh_array", x), np.tanh(x.astype(np.float64))) <= 3


def test_tanh_at_the_ends(isa):
    x = np.array([-np.inf, 0, np.inf, np.nan], np.float32)
    np.testing.assert_array_equal(evaluate("tanh_array", x), [-1, 0, 1, np.nan])
