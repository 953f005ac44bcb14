"""muon_update: every fast version against the float64 reference, that against its definition."""

import numpy as np
import pytest
from judge import floats

import kernels
from kernels import numpy_ref
from kernels.numpy_ref.muon import BEST, LAST, LEAST, orthogonalize, rounds_of, whiten

SETTINGS = {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.3, "grad_scale": 0.5}
# Around a block of 8, 16 or 32 columns, on either side; two pieces of a long side; real ones.
SHAPES = [
    (1, 1), (1, 7), (7, 1), (5, 9), (9, 5), (8, 8), (7, 20), (15, 40), (16, 33), (17, 90), (31, 64),
    (33, 67), (90, 17), (64, 31), (65, 300), (300, 65), (128, 384), (512, 128),
]


def lists(shapes, seed=0):
    """params, grads and momenta: a spread of singular values that float32 can tell from zero."""
    return [
        [floats(seed + i + 10 * j, *shape) for j, shape in enumerate(shapes)] for i in range(3)
    ]


def wide(arrays):
    return [[array.astype(np.float64) for array in one] for one in arrays]


def off(fast, shapes, **settings):
    """Largest error of a step, in units of an update of one, and of the momentum."""
    ours, exact = lists(shapes), wide(lists(shapes))
    fast.muon_update(*ours, **SETTINGS | settings)
    numpy_ref.muon_update(*exact, **SETTINGS | settings)
    rates = [0.1 * 0.2 * max(shape) ** 0.5 for shape in shapes]
    errors = [
        np.abs(a - b).max() / rate for a, b, rate in zip(ours[0], exact[0], rates, strict=True)
    ]
    held = max(np.abs(a - b).max() for a, b in zip(ours[2], exact[2], strict=True))
    return max(errors), held


@pytest.mark.parametrize("shape", SHAPES)
def test_one_step_agrees(fast, shape):
    error, held = off(fast, [shape])
    # A vector's one singular value is 1, where the first round has a slope of 24.
    assert error < (5e-4 if min(shape) == 1 else 6e-5) and held < 1e-6


def test_other_rounds_agree(fast):
    for rounds in [BEST[:1], ((2.0, -1.5, 0.5), LAST)]:
        error, _ = off(fast, [(40, 20), (9, 30)], rounds=rounds)
        assert error < 3e-6


def test_a_square_matrix_is_as_near_as_float32_allows(fast):
    """Small singular values are the differences of large numbers; no rounding may grow on them."""
    for version in (numpy_ref, fast):
        error, _ = off(version, [(128, 128)])
        assert error < 2e-5


def test_a_list_is_updated_as_its_matrices_one_by_one(fast):
    together, apart = lists(SHAPES), lists(SHAPES)
    fast.muon_update(*together, **SETTINGS)
    for row in zip(*apart, strict=True):
        fast.muon_update(*([array] for array in row), **SETTINGS)
    for ours, theirs in zip(together, apart, strict=True):
        for array, expected in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(array, expected)


def test_the_bits_do_not_depend_on_the_number_of_threads(isa):
    from kernels import c

    before, results = kernels.get_num_threads(), []
    for threads in (1, 2, 5):
        kernels.set_num_threads(threads)
        arrays = lists(SHAPES)
        c.muon_update(*arrays, **SETTINGS)
        results.append(b"".join(array.tobytes() for one in arrays for array in one))
    kernels.set_num_threads(before)
    assert results[0] == results[1] == results[2]


def test_what_one_matrix_leaves_behind_is_not_seen_by_the_next(fast):
    """The threads use their memory again; its edges may hold anything."""
    clean = lists([(20, 35)])
    after = [a + b for a, b in zip(lists([(70, 70)]), lists([(20, 35)]), strict=True)]
    after[1][0][...] = np.nan
    fast.muon_update(*clean, **SETTINGS)
    fast.muon_update(*after, **SETTINGS)
    assert np.isnan(after[0][0]).all()
    np.testing.assert_array_equal(after[0][1], clean[0][0])
    assert np.isfinite(clean[0][0]).all()


def test_the_gradient_is_not_written(fast):
    arrays = lists([(30, 20)])
    before = arrays[1][0].copy()
    fast.muon_update(*arrays, **SETTINGS)
    np.testing.assert_array_equal(arrays[1][0], before)


def test_zeros_only_decay(fast):
    (param,), (grad,), (held,) = lists([(12, 30)])
    before = param.copy()
    grad[...], held[...] = 0, 0
    fast.muon_update([param], [grad], [held], **SETTINGS)
    np.testing.assert_allclose(param, before * (1 - 0.1 * 0.3), rtol=1e-6)
    assert not held.any()


def test_nothing_is_no_work(fast):
    fast.muon_update([], [], [], **SETTINGS)
    for shape in [(0, 4), (4, 0), (0, 0)]:
        fast.muon_update(*lists([shape]), **SETTINGS)


def test_lists_of_different_lengths_are_refused(fast):
    params, grads, momenta = lists([(4, 4), (4, 4)])
    with pytest.raises(ValueError, match="zip"):
        fast.muon_update(params, grads[:1], momenta, **SETTINGS)


def test_one_round_is_the_quintic_of_each_singular_value():
    """The definition, with NumPy's decomposition: U s (a + b s^2 + c s^4) V^T, s of length 1."""
    for shape in [(5, 9), (9, 5), (6, 6)]:
        x = floats(3, *shape).astype(np.float64)
        u, s, vt = np.linalg.svd(x, full_matrices=False)
        s = s / np.sqrt((s * s).sum())
        for rounds in [BEST[:1], ((2.0, -1.5, 0.5), (1.5, -0.5, 0.0), (3.0, -3.0, 1.0))]:
            bent = s
            for a, b, c in rounds:
                bent = a * bent + b * bent**3 + c * bent**5
            np.testing.assert_allclose(orthogonalize(x, rounds), (u * bent) @ vt, atol=1e-12)


def test_every_product_on_the_way_is_symmetric():
    """What the fast versions rely on: with the upper triangle mirrored, nothing changes."""
    x = floats(5, 12, 40).astype(np.float64)
    w = whiten(x @ x.T, BEST)
    np.testing.assert_allclose(w, w.T, atol=1e-9)


def test_each_round_is_the_best_for_what_the_one_before_leaves():
    """Chebyshev: no quintic does better than one that errs equally, by turns, at four points."""
    low, high = LEAST, 1.0
    for a, b, c in BEST:
        s = np.linspace(max(low, high / 40), high, 100_001)
        p = a * s + b * s**3 + c * s**5
        turns = np.flatnonzero(np.diff(np.sign(np.diff(p)))) + 1
        centre = (p.max() + p.min()) / 2  # above 1 where the lower end was lifted
        errors = p[[0, *turns, -1]] - centre
        by_turns = np.abs(errors).max() * np.array([-1, 1, -1, 1])
        np.testing.assert_allclose(errors, by_turns, rtol=1e-3)
        whole = np.append(p, a * low + b * low**3 + c * low**5)
        low, high = whole.min(), whole.max()
        np.testing.assert_allclose(low + high, 2, rtol=1e-4)
    np.testing.assert_allclose([low, high], [0.79, 1.21], atol=5e-3)


def test_more_rounds_than_four_converge():
    s = np.geomspace(LEAST, 1, 50)
    for a, b, c in rounds_of(8):
        s = a * s + b * s**3 + c * s**5
    np.testing.assert_allclose(s, 1, atol=1e-9)
    assert rounds_of(2) == BEST[:2]
    with pytest.raises(ValueError, match="0 rounds leave nothing"):
        rounds_of(0)
