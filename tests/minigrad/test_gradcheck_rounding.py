"""Where f is saturated, tiny or near a pole, differences mislead, and nobody is accused of it.

"vacuous" is right there (a gradient of zeros would pass as well), "failed" is not.
"""

import numpy as np
import pytest

import kernels
from minigrad import Tensor, check_grads, check_vjp, ops
from minigrad.gradcheck import second
from minigrad.gradcheck.point import Point, Tolerance
from minigrad.gradcheck.problem import from_arrays


def scaled(seed, shape, scale):
    return np.random.default_rng(seed).standard_normal(shape) * scale


def status(f, args, seed=0, **options):
    with kernels.using("numpy"):
        options = {"order": 2, "directions": 2, **options}
        return check_grads(f, args, seed=seed, raise_exception=False, **options).status


def loss(x):
    return ops.cross_entropy(x, np.array([0]))


# Rows of scale 1e4 with two large elements within 25: the gradient changes only where they cross,
# and is zero at the end of every long step, on either side.
@pytest.mark.parametrize(
    "rows, seed", [(13, 1), (69, 2), (178, 0), (318, 0), (474, 1), (1045, 1), (3693, 2), (4039, 0)]
)
def test_a_softmax_that_is_nearly_saturated_is_not_accused(rows, seed):
    assert status(ops.softmax, [scaled(rows, (5, 7), 1e4)], seed) != "failed"


def test_a_difference_of_gradients_does_not_leap_over_the_place_where_they_change():
    x = scaled(13, (5, 7), 1e4)
    with kernels.using("numpy"):
        report = check_grads(ops.softmax, [x], seed=1, order=2)
    assert report.passed and "asymmetry" in report.notes[-1]  # it was compared, and agrees


SCALES = (1e-8, 10.0, 30.0, 100.0, 1e4)
ELEMENTWISE = {"softmax": ops.softmax, "sigmoid": ops.sigmoid, "tanh": ops.tanh, "gelu": ops.gelu}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_saturated_and_tiny_values_are_not_accused(name, scale):
    for seed in range(12):
        assert status(ELEMENTWISE[name], [scaled(seed, (3, 5), scale)]) != "failed", seed


@pytest.mark.parametrize("scale", SCALES)
def test_a_loss_of_almost_nothing_is_not_accused(scale):
    for seed in range(50):  # 30: logsumexp(x) - x[t] is 4e-13, in steps of 4e-15
        x = scaled(seed, (1, 3), scale)
        assert status(loss, [x]) != "failed", seed


@pytest.mark.parametrize("scale", SCALES)
def test_attention_that_looks_at_one_key_is_not_accused(scale):
    for seed in range(6):
        q, k, v = scaled(seed, (3, 1, 4, 2, 3), 1.0)
        assert status(ops.attention, [q * scale, k, v]) != "failed", seed


@pytest.mark.parametrize("directions", [2, "full"])
def test_every_entry_of_a_saturated_jacobian_is_not_accused(directions):
    for seed in range(10):
        x = scaled(seed, (1, 3), 100.0)
        assert status(loss, [x], order=1, directions=directions) != "failed", seed


# A pole within the longest steps: both sides are smooth, and beyond it they agree on nonsense

NEAR_A_POLE = {
    "1 / x": (lambda x: 1 / x, lambda dy, x: -dy / x**2, [1e-4, 1.0]),
    "log(1 - x)": (lambda x: np.log(1 - x), lambda dy, x: -dy / (1 - x), [0.9999, 0.5]),
    "arcsin": (np.arcsin, lambda dy, x: dy / np.sqrt(1 - x * x), [0.99999, 0.5]),
    "tan": (np.tan, lambda dy, x: dy / np.cos(x) ** 2, [1.5707, 0.5]),
}


@pytest.mark.parametrize("name", NEAR_A_POLE)
def test_a_derivative_near_a_pole_is_not_accused(name):
    f, vjp, x = NEAR_A_POLE[name]
    for seed in range(10):
        check_vjp(f, vjp, [np.array(x)], seed=seed)
        wrong = check_vjp(
            f, lambda *a: 1.001 * vjp(*a), [np.array(x)], seed=seed, raise_exception=False
        )
        assert wrong.status == "failed"


# And the guilty still are


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e4])
def test_a_derivative_that_is_no_gradient_is_caught_at_any_scale(scale):
    skew = np.array([[0.0, 1.0], [-1.0, 0.0]])
    x = np.array([1.0, 2.0]) * scale

    def vjp(dy, z):
        return dy * (z + skew @ (z - x))  # right at x, and not symmetric around it

    def half_square(z):
        return 0.5 * (z * z).sum()

    report = check_vjp(half_square, vjp, [x], order=2, seed=0, raise_exception=False)
    assert report.status == "failed" and "wrong close by" in report.notes[-1]
    point = Point(from_arrays(half_square, vjp, [x]), Tolerance(0.0, 1e-7), None)
    report.status = "passed"
    second.compare(report, point, np.random.default_rng(0))
    assert report.status == "failed" and "asymmetry" in report.notes[-1]


def test_a_wrong_softmax_is_caught_where_rows_are_large():
    def wrong(x):
        y = ops.softmax(x).data
        return Tensor(y, (x,), lambda dy: (y * (dy - 0.9 * (dy * y).sum(-1, keepdims=True)),))

    assert status(wrong, [scaled(13, (5, 7), 1e4)], order=1) == "failed"


def test_a_difference_that_agrees_to_the_last_digit_keeps_its_edge():
    # exp(-40) is 4e-18, far below the rounding of 40: still, a factor of 1.001 is seen.
    report = check_grads(ops.exp, [np.array([-40.0, -41.0])], seed=0)
    assert report.passed and report.power == 1.0
