"""The checker itself: it catches what others let through, and never accuses the innocent."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from minigrad import GradientError, Tensor, check_grads, check_vjp, ops

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 4))
BIG = RNG.standard_normal(10_000)


def op(forward, backward):
    """An operation of one argument with the backward under test: (dy, x) -> dx."""
    return lambda x: Tensor(forward(x.data), (x,), lambda dy: (backward(dy, x.data),))


def status(f, *args, **options):
    return check_grads(f, list(args), seed=3, raise_exception=False, **options).status


def vjp_status(f, vjp, *args, **options):
    return check_vjp(f, vjp, list(args), seed=3, raise_exception=False, **options).status


def tanh_vjp(dy, x):
    return dy * (1 - np.tanh(x) ** 2)


def scaled_at(index, factor):
    def vjp(dy, x):
        dx = tanh_vjp(dy, x)
        dx[index] *= factor
        return dx

    return vjp


# What the rivals' checkers let through


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def test_a_softmax_whose_backward_returns_zeros_is_caught():
    assert status(op(softmax, lambda dy, x: np.zeros_like(x)), X) == "failed"


def test_the_all_ones_cotangent_on_a_softmax_is_called_vacuous():
    # sum(softmax(x)) is constant: a backward of zeros and the right one both give zero.
    for f in (op(softmax, lambda dy, x: np.zeros_like(x)), ops.softmax):
        report = check_grads(lambda x, f=f: f(x).sum(), [X], seed=0, raise_exception=False)
        assert report.status == "vacuous"
        assert "gradient of args[0] is zero here" in str(report)


@pytest.mark.parametrize("factor", [0.0, -1.0, 1.001, 2.0])
def test_one_wrong_element_of_10_000_is_caught_and_named(factor):
    report = check_vjp(np.tanh, scaled_at(4321, factor), [BIG], seed=5, raise_exception=False)
    assert report.status == "failed"
    assert report.worst.index == (4321,)
    assert np.isclose(report.worst.right * factor, report.worst.got, rtol=1e-5)


@pytest.mark.parametrize("shape", [(), (7,), (30, 40)])
def test_a_factor_of_1_001_is_caught_at_any_size(shape):
    x = RNG.standard_normal(shape)
    assert vjp_status(np.tanh, lambda dy, x: 1.001 * tanh_vjp(dy, x), x) == "failed"


def test_a_wrong_sign_under_broadcasting_is_caught():
    def sub(a, b):
        return Tensor(a.data - b.data, (a, b), lambda dy: (dy, dy))

    report = check_grads(sub, [X, X[0]], seed=0, raise_exception=False)
    assert report.status == "failed"
    assert report.worst.suspect == "the sign is flipped everywhere"
    assert report.worst.argument == "args[1]"


def test_a_kink_at_the_sampled_point_is_neither_passed_nor_failed():
    x = np.array([1.0, 0.0, -1.0, 2.0])
    report = check_grads(ops.relu, [x], seed=0)
    assert report.status == "kink" and not report.passed and not report.failed
    assert [kink.index for _, kink in report.kinks] == [(1,)]


def test_a_tie_shared_equally_agrees_with_central_differences_but_is_a_kink():
    x = np.array([2.0, 2.0, 1.0])
    assert status(lambda x: x.max(), x) == "kink"
    assert status(lambda x: x.max(), x, kinks="ignore") == "passed"


@pytest.mark.parametrize("point", [[-1.0, 0.5, 1.0], [-0.3, 0.4, 0.2]])
def test_clip_at_its_end_is_a_kink(point):
    x = np.array(point)
    expected = "kink" if abs(x).max() == 1.0 else "passed"
    assert status(lambda x: x.clip(-1.0, 1.0), x) == expected


def test_an_error_does_not_hide_behind_a_kink():
    wrong = op(lambda x: np.maximum(x, 0), lambda dy, x: 1.5 * dy * (x > 0))
    assert status(wrong, np.array([1.0, 0.0, -1.0])) == "failed"


def test_a_value_at_a_kink_outside_both_slopes_is_caught():
    wrong = op(lambda x: np.maximum(x, 0), lambda dy, x: dy * np.where(x == 0, 3.0, x > 0))
    report = check_grads(wrong, [np.array([1.0, 0.0, -1.0])], seed=0, raise_exception=False)
    assert report.status == "failed"
    assert "not between the slopes" in str(report)


def test_a_kink_near_the_point_is_stepped_around():
    x = np.array([1e-4, -1e-5, 1.0, -1.0])
    assert status(ops.relu, x) == "passed"


# Mistakes of other kinds


def test_a_missing_broadcast_reduction_is_named():
    report = check_vjp(
        lambda x, b: x + b, lambda dy, x, b: (dy, dy), [X, X[0]], seed=0, raise_exception=False
    )
    assert report.status == "failed"
    assert "missing broadcast reduction: sum over the axes (0,)" in str(report)


SUSPECTS = {
    "the sign is flipped everywhere": (np.tanh, lambda dy, x: -tanh_vjp(dy, x)),
    "should be 2 times": (np.tanh, lambda dy, x: 0.5 * tanh_vjp(dy, x)),
    "3 times too large: a constant factor or": (np.tanh, lambda dy, x: 3 * tanh_vjp(dy, x)),
    "the gradient is zero": (np.tanh, lambda dy, x: 0 * x),
    "a single element": (np.tanh, scaled_at((1, 2), 3.0)),
    "a transpose": (np.tanh, lambda dy, x: tanh_vjp(dy, x).T.reshape(x.shape).copy()),
    "a mean where a sum belongs": (lambda x: x.sum(0), lambda dy, x: dy / 3 + 0 * x),
    "a sum where a mean belongs": (lambda x: x.mean(0), lambda dy, x: dy + 0 * x),
    "term of a sum or mean": (lambda x: x - x.mean(-1, keepdims=True), lambda dy, x: dy),
    "nan or inf": (np.tanh, lambda dy, x: dy / 0.0),
}


@pytest.mark.parametrize("suspect", SUSPECTS)
@pytest.mark.filterwarnings("ignore:divide by zero")
def test_the_report_names_the_suspect(suspect):
    f, vjp = SUSPECTS[suspect]
    report = check_vjp(f, vjp, [X], seed=0, raise_exception=False)
    assert report.status == "failed"
    assert suspect in report.worst.suspect


def test_a_detached_path_is_caught():
    report = check_grads(lambda x: x * x.detach(), [X], seed=0, raise_exception=False)
    assert report.status == "failed"
    assert "every element should be 2 times" in report.worst.suspect


def test_an_argument_that_no_gradient_reaches_is_noted():
    report = check_grads(lambda x: x.detach() * 2 + 0, [X], seed=0, raise_exception=False)
    assert report.status == "failed"
    assert "no gradient reached args[0]" in str(report)


def test_a_function_that_is_not_repeatable_is_refused():
    rng = np.random.default_rng(0)
    report = check_grads(lambda x: x * rng.standard_normal(), [X], seed=0, raise_exception=False)
    assert report.status == "failed" and "two results for the same arguments" in str(report)


def test_a_backward_that_writes_to_its_argument_is_caught():
    def f(x):
        def backward(dy):
            dx = tanh_vjp(dy, x.data)
            x.data[...] = 0
            return (dx,)

        return Tensor(np.tanh(x.data), (x,), backward)

    before = X.copy()
    report = check_grads(f, [X], seed=0, raise_exception=False)
    assert report.status == "failed" and "wrote to an argument" in str(report)
    np.testing.assert_array_equal(X, before)  # the checker works on copies


def test_a_float32_path_that_differs_from_float64_is_caught():
    def f(x):
        factor = 1.001 if x.dtype == np.float32 else 1.0
        return Tensor(
            np.tanh(x.data), (x,), lambda dy: (tanh_vjp(dy, x.data) * x.dtype.type(factor),)
        )

    assert status(f, X) == "passed"
    report = check_grads(f, [np.float32(X)], seed=0, raise_exception=False)
    assert report.status == "failed"
    assert "float32: the gradient of args[0] differs from float64" in str(report)


# Vacuous checks


def test_a_tolerance_too_wide_to_notice_anything_is_vacuous():
    report = check_grads(ops.tanh, [X], rtol=0.5, seed=0, raise_exception=False)
    assert report.status == "vacuous"
    assert ("args[0]", "scaled") in report.accepted
    assert status(ops.tanh, X, rtol=0.5, min_power=0.0) == "passed"


def test_a_step_too_long_to_notice_a_part_in_a_thousand_is_vacuous():
    assert status(ops.tanh, X, eps=0.5) == "vacuous"
    assert status(ops.tanh, X, eps=1e-5) == "passed"


def test_an_absolute_tolerance_can_be_vacuous_too():
    assert status(ops.tanh, X, atol=10.0) == "vacuous"


# Jacobians, nests, options


def test_full_compares_every_entry_and_names_the_worst():
    right = check_grads(ops.softmax, [X], directions="full", seed=0)
    assert right.passed and right.mutants == 5
    wrong = check_vjp(
        np.tanh, scaled_at((2, 1), 1.01), [X], directions="full", seed=0, raise_exception=False
    )
    assert wrong.worst.index == (2, 1)


def test_nested_arguments_and_results():
    def f(weights, pair):
        h = (pair[0] @ weights["w"] + weights["b"]).tanh()
        return {"h": h, "rest": (h.sum(), [pair[1] * h[0]])}

    args = [{"w": X.T, "b": np.ones(3)}, (X, np.ones(3))]
    report = check_grads(f, args, seed=0)
    assert report.passed
    assert report.arguments[0] == "args[0]['w'] (4, 3)"


def test_integers_and_other_arguments_are_passed_on():
    ids = np.array([0, 2, 2])
    assert status(lambda w, i, text: ops.embedding(w, i) * 2, X, ids, "x") == "passed"


def test_masked_inputs_of_minus_infinity_are_left_alone():
    x = X.copy()
    x[0, 1] = -np.inf
    assert status(ops.softmax, x) == "passed"


def test_second_order_passes_for_smooth_functions_and_says_so_for_linear_ones():
    smooth = check_grads(lambda x: ops.softmax(x) * x, [X], order=2, seed=0)
    assert "asymmetry" in str(smooth)
    linear = check_grads(lambda x: x * 3, [X], order=2, seed=0)
    assert linear.passed and "second order not tested" in str(linear)


def test_second_order_catches_a_gradient_that_is_right_only_at_the_point():
    right_here = tanh_vjp(1.0, X)

    def vjp(dy, x):
        return dy * right_here  # the true derivative at X, frozen

    assert vjp_status(np.tanh, vjp, X, order=2) == "failed"
    assert vjp_status(np.tanh, vjp, X) == "failed"  # compared close by, too


def test_arguments_without_elements_compare_shapes_only():
    report = check_grads(ops.tanh, [np.zeros((0, 3))], seed=0)
    assert report.passed and "only shapes were compared" in str(report)


@pytest.mark.parametrize("scale", [1e-12, 1e-3, 1e6, 1e15])
def test_values_of_any_size(scale):
    x = np.abs(X) * scale
    assert status(ops.log, x) == "passed"
    assert status(ops.sqrt, x) == "passed"
    assert status(lambda x: x * x, x) == "passed"


@pytest.mark.parametrize(
    "options, message",
    [
        ({"order": 3}, "order must be 1 or 2"),
        ({"modes": ("fwd",)}, "in \\('rev',\\) only"),
        ({"directions": 0}, "directions must be"),
        ({"kinks": "maybe"}, "kinks must be"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        check_grads(ops.tanh, [X], **options)


def test_only_integers_is_refused():
    with pytest.raises(ValueError, match="no argument is floating point"):
        check_grads(lambda i: i, [np.array([1, 2])])


def test_a_failure_raises_with_the_report_and_the_seed_repeats_it():
    wrong = op(np.tanh, lambda dy, x: tanh_vjp(dy, x) * 1.01)
    with pytest.raises(GradientError, match=r"failed \(seed \d+\)") as first:
        check_grads(wrong, [X])
    seed = first.value.report.seed
    with pytest.raises(GradientError) as second:
        check_grads(wrong, [X], seed=seed)
    assert str(first.value) == str(second.value)


# Right derivatives never fail

SMOOTH = {
    "tanh": ops.tanh,
    "exp": ops.exp,
    "softmax": lambda x: ops.softmax(x) * np.arange(1.0, x.shape[-1] + 1),
    "gelu": ops.gelu,
    "norm": lambda x: ops.rmsnorm(x, Tensor(np.linspace(1, 2, x.shape[-1]))),
    "product": lambda x: x * x.sum() - x / (1 + x * x),
    "matmul": lambda x: x @ x.T,
    "kinked": lambda x: ops.relu(x) + x.abs(),
    "extreme": lambda x: x.max(axis=0) * 2 + x.min(),
}


@settings(max_examples=500)
@given(
    name=st.sampled_from(sorted(SMOOTH)),
    rows=st.integers(1, 5),
    columns=st.integers(2, 7),
    seed=st.integers(0, 2**32 - 1),
    scale=st.sampled_from([1e-3, 0.1, 1.0, 3.0]),
)
# GELU far left, while the reference still computed 1 + tanh u there and lost its digits:
@example(name="gelu", rows=1, columns=2, seed=26, scale=3.0)
def test_right_derivatives_never_fail(name, rows, columns, seed, scale):
    x = np.random.default_rng(seed).standard_normal((rows, columns)) * scale
    check_grads(SMOOTH[name], [x], seed=seed, directions=2)
