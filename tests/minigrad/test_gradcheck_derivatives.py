"""Dozens of derivatives that other checkers miss or accuse: ours does neither."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minigrad import GradientError, Tensor, check_grads, check_vjp, nn, ops
from tests.minigrad import singularities
from tests.minigrad.derivatives import RIGHT, WRONG, as_tensors

RNG = np.random.default_rng(0)
X = RNG.standard_normal((3, 4))


def judge(derivative, seed, **options):
    with np.errstate(all="ignore"):
        f = as_tensors(derivative)
        return check_grads(f, derivative.args, seed=seed, raise_exception=False, **options)


def small(found):
    return [d for d in found if sum(a.size for a in d.args) < 100]


@pytest.mark.parametrize("derivative", RIGHT, ids=lambda d: d.name)
def test_a_right_derivative_passes(derivative):
    assert judge(derivative, 1).passed


@pytest.mark.parametrize("derivative", small(RIGHT), ids=lambda d: d.name)
def test_every_entry_of_a_right_one_passes(derivative):
    assert judge(derivative, 1, directions="full").passed


@pytest.mark.parametrize("derivative", WRONG, ids=lambda d: d.name)
def test_a_wrong_derivative_is_caught(derivative):
    assert judge(derivative, 2).failed


@pytest.mark.parametrize("derivative", small(WRONG), ids=lambda d: d.name)
def test_every_entry_of_a_wrong_one_is_caught(derivative):
    assert judge(derivative, 2, directions="full").failed


# `python -m bench checkers --draw 1000000` draws more of them.
@settings(max_examples=100)
@given(seed=st.integers(0, 2**32 - 1), directions=st.sampled_from([2, 4, "full"]))
def test_right_derivatives_near_singularities_are_not_accused(seed, directions):
    drawn = singularities.near_singularity(np.random.default_rng(seed))
    assert judge(drawn, seed, directions=directions).status in ("passed", "vacuous", "kink")


# What it says


def message(derivative_name):
    derivative = next(d for d in WRONG if d.name == derivative_name)
    return str(judge(derivative, 0))


@pytest.mark.parametrize(
    "name, words",
    [
        ("writes into dy", "backward wrote to dy"),
        ("writes into dy afterwards", "backward wrote to dy"),
        ("writes to its input", "backward wrote to an argument"),
        ("writes to its output", "backward wrote to its output"),
        ("x of the last forward", "the x of the last forward, not for its own"),
        ("another answer each time", "two results for the same dy"),
        ("returns one buffer", "wrote to a gradient that it had returned"),
        ("dy clipped to 5", "not linear in dy"),
        ("frozen at the first x", "right at the point, wrong close by"),
        ("backward in float32", "backward gives float32 numbers"),
    ],
)
def test_the_report_says_what_a_backward_did(name, words):
    assert words in message(name)


def test_a_write_to_dy_in_the_middle_of_a_graph_is_caught():
    def double(x):
        def backward(dy):
            dy *= 2
            return (dy,)

        return Tensor(2 * x.data, (x,), backward)

    report = check_grads(lambda x: ops.tanh(double(x)), [X], seed=0, raise_exception=False)
    assert report.failed and "backward wrote to dy" in str(report)


def test_a_vjp_of_arrays_is_held_to_the_same():
    last = {}

    def f(x):
        last["x"] = x
        return np.tanh(x)

    def stale(dy, x):
        return dy * (1 - np.tanh(last["x"]) ** 2)

    def writing(dy, x):
        dx = dy * (1 - np.tanh(x) ** 2)
        x[...] = 0
        return dx

    report = check_vjp(f, stale, [X], seed=0, raise_exception=False)
    assert "the x of the last forward" in str(report)
    report = check_vjp(np.tanh, writing, [X], seed=0, raise_exception=False)
    assert "backward wrote to an argument" in str(report)


# float32 inside f


def rounded(x):
    """x through float32 and back, differentiated as if it were the identity."""
    return Tensor(x.data.astype(np.float32).astype(np.float64), (x,), lambda dy: (dy,))


@pytest.mark.parametrize(
    "f",
    [
        lambda x: rounded(ops.tanh(x)),
        lambda x: ops.tanh(rounded(x)),
        lambda x: x * ops.tanh(rounded(x)),
        lambda x: ops.tanh(rounded(ops.exp(x)) + 0.1 * x),
        lambda x: ops.tanh(x.astype(np.float32)),
    ],
    ids=["outside", "inside", "beside x", "in the middle", "astype"],
)
def test_a_cast_to_float32_inside_is_said_as_such(f):
    report = check_grads(f, [X], seed=0, raise_exception=False)
    assert report.status == "imprecise" and report.failed
    assert "precision loss suspected, a cast to float32 inside" in str(report)
    assert "the gradients are wrong" not in str(report)
    with pytest.raises(GradientError, match="float32"):
        check_grads(f, [X], seed=0)


def test_a_cast_to_float32_does_not_excuse_a_wrong_gradient():
    def wrong(x):
        y = np.tanh(x.data).astype(np.float32).astype(np.float64)
        return Tensor(y, (x,), lambda dy: (1.01 * dy * (1 - y * y),))

    assert check_grads(wrong, [X], seed=0, raise_exception=False).status == "failed"


# What may be given


@pytest.mark.parametrize("x", [X, Tensor(X), np.float64(0.3)], ids=["array", "Tensor", "scalar"])
def test_an_array_stands_for_itself(x):
    assert check_grads(ops.tanh, x, seed=0).passed
    if isinstance(x, np.ndarray):
        assert check_vjp(np.tanh, lambda dy, x: dy * (1 - np.tanh(x) ** 2), x, seed=0).passed


@pytest.mark.parametrize("args", [3.0, {"x": X}, "x"])
def test_what_is_no_list_of_arguments_is_refused(args):
    with pytest.raises(TypeError, match="not the list of f's arguments"):
        check_grads(ops.tanh, args)


def test_a_python_number_is_a_setting():
    with pytest.raises(ValueError, match=r"write np.array\(3.0\)"):
        check_grads(ops.tanh, [3.0])


def test_a_module_is_checked_with_its_parameters():
    module = nn.Sequential(nn.Linear(4, 5, rng=RNG), nn.LayerNorm(5), nn.Linear(5, 2, rng=RNG))
    before = {name: array.copy() for name, array in module.state_dict().items()}
    report = check_grads(module, [X], seed=0)
    assert report.passed
    names = [argument.split()[0] for argument in report.arguments]
    assert names == [*(name for name, _ in module.named_parameters()), "args[0]"]
    for name, array in module.state_dict().items():  # put back, float32, as it was
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, before[name])
    assert all(p.grad is None for p in module.parameters())


def test_float32_arguments_of_a_module_are_compared_in_float32_too():
    report = check_grads(nn.Linear(4, 2, rng=RNG), [np.float32(X)], seed=0)
    assert report.passed and "float32 agrees with float64" in report.notes[-1]


def test_a_wrong_gradient_of_a_parameter_is_named():
    class Scale(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter(np.ones(4, np.float32))

        def forward(self, x):
            w = self.weight
            return Tensor(x.data * w.data, (x, w), lambda dy: (dy * w.data, dy.sum(0)))

    report = check_grads(Scale(), X, seed=0, raise_exception=False)
    assert report.status == "failed" and report.worst.argument == "weight"
