"""LoRA and DoRA by hand: formulas, gradients, and the work that is not done."""

import numpy as np
import pytest

from minigrad import Tensor, nn, ops
from minigrad.gradcheck import check_grads
from minigrad.nn.quantized import quantize
from minigrad.ops.linear import active
from minigrad.ops.linear_lora import linear_lora
from minigrad.ops.linear_packed import linear_packed
from minigrad.testing import certify
from tests.tinygpt.adapters.test_methods import IDS, method, moved
from tests.tinygpt.exchange.models import made
from tinygpt.adapters import MethodConfig, adapt
from tinygpt.adapters.dora import DoRALinear
from tinygpt.adapters.lora import LoRALinear, spread
from tinygpt.adapters.targets import placed
from tinygpt.errors import UserError

ROWS = [(0, 4), (5, 8)]
FOUND = certify.backends()


def draw(*shape):
    return np.random.default_rng(len(shape) + shape[0]).standard_normal(shape).astype(np.float32)


def layer(kind=LoRALinear, rng=0, **settings):
    """A product of 9 rows and 6 columns, two parts of it adapted, and none of it zero."""
    base = nn.Linear(6, 9, bias=True, activation="gelu", rng=1)
    base.bias.data[...] = draw(9)
    base.requires_grad_(False)
    made = kind(base, ROWS, MethodConfig(rank=2, **settings), np.random.default_rng(rng))
    made.B.data[...] = draw(7, 2)
    return made


def by_hand(made, scale):
    """W + s B A of each part, with NumPy."""
    W = made.base.weight.data.copy()
    W[0:4] += scale * made.B.data[:4] @ made.A.data[:2]
    W[5:8] += scale * made.B.data[4:] @ made.A.data[2:]
    return W


@pytest.mark.parametrize(("rslora", "scale"), [(False, 12 / 2), (True, 12 / 2**0.5)])
def test_it_is_the_formula(rslora, scale):
    made, x = layer(alpha=12, rslora=rslora), Tensor(draw(3, 6))
    a = nn.functional.gelu(x).data
    right = a @ by_hand(made, scale).T + made.base.bias.data + draw(3, 9)
    np.testing.assert_allclose(made(x, Tensor(draw(3, 9))).data, right, rtol=0, atol=2e-5)


def test_dora_is_the_formula():
    made, x = layer(DoRALinear), Tensor(draw(3, 6))
    W = by_hand(made, 8)
    made.magnitude.data[...] += 0.5
    m = np.ones(9, np.float32)
    lengths = np.linalg.norm(W, axis=1)
    m[[0, 1, 2, 3, 5, 6, 7]] = made.magnitude.data / lengths[[0, 1, 2, 3, 5, 6, 7]]
    right = nn.functional.gelu(x).data @ (m[:, None] * W).T + made.base.bias.data
    np.testing.assert_allclose(made(x).data, right, rtol=0, atol=2e-5)
    np.testing.assert_allclose(made.merged()(x).data, right, rtol=0, atol=2e-5)


def test_dora_s_lengths_are_constants_in_backward():
    """Section 4.3: the gradient of B is that of W + s B A times m / length, and no more."""
    made, x, dy = layer(DoRALinear), Tensor(draw(3, 6)), draw(3, 9)
    (made(x) * Tensor(dy)).sum().backward()
    gain = made.magnitude.data / np.linalg.norm(by_hand(made, 8), axis=1)[[0, 1, 2, 3, 5, 6, 7]]
    scaled, thin = dy[:, [0, 1, 2, 3, 5, 6, 7]] * gain, made.thin(x).data
    right = 8 * np.concatenate([scaled[:, :4].T @ thin[:, :2], scaled[:, 4:].T @ thin[:, 2:]])
    np.testing.assert_allclose(made.B.grad, right, rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("backend", [b for b, state in FOUND.items() if state == "ready"])
@pytest.mark.parametrize("activation", [None, "gelu", "relu2", "swiglu"])
@pytest.mark.parametrize("packed", [False, True])
def test_the_fused_operation_is_its_parts(packed, activation, backend):
    """Values and all gradients, beside those of linear, or linear_packed, and two thin linears."""
    inner, names = 70, ("x", "bias", "A", "U", "residual")
    shapes = ((4, 3, inner * (2 if activation == "swiglu" else 1)), (37,), (5, inner), (37, 5),
              (4, 3, 37))
    W, dy = draw(37, inner), Tensor(draw(4, 3, 37))

    def gradients(function):
        leaves = [Tensor(draw(*shape), requires_grad=True) for shape in shapes]
        with certify.running(backend):
            y = function(*leaves)
            (y * dy).sum().backward()
        return [y.data, *(leaf.grad for leaf in leaves)]

    weight = quantize(W, "nf4") if packed else Tensor(W)
    plain = linear_packed if packed else ops.linear

    def parts(x, bias, A, U, residual):
        thin = ops.linear(x, A, None, activation)
        return ops.linear(thin, U, None, None, plain(x, weight, bias, activation, residual))

    fused = gradients(lambda x, b, A, U, r: linear_lora(x, weight, b, A, U, activation, r))
    for name, got, right in zip(("y", *names), fused, gradients(parts), strict=True):
        assert np.abs(got - right).max() <= 4e-6 * np.abs(right).max(), name


@pytest.mark.parametrize("activation", [None, "gelu", "swiglu"])
def test_gradients_of_the_fused_operation_agree_with_differences(activation):
    W = Tensor(draw(5, 6).astype(np.float64))
    shapes = ((3, 12 if activation == "swiglu" else 6), (5,), (2, 6), (5, 2), (3, 5))
    arrays = tuple(draw(*shape).astype(np.float64) for shape in shapes)
    report = check_grads(
        lambda x, b, A, U, r: linear_lora(x, W, b, A, U, activation, r), arrays
    )
    assert report.passed, str(report)


def test_a_weight_that_learns_is_refused_by_the_fused_operation():
    x, A, U = (Tensor(draw(*shape)) for shape in ((3, 6), (2, 6), (5, 2)))
    with pytest.raises(ValueError, match="must be frozen"):
        linear_lora(x, Tensor(draw(5, 6), requires_grad=True), None, A, U)


def test_gradients_of_the_block_diagonal_and_of_placed_rows():
    report = check_grads(lambda B: spread(B, ROWS, 9, 2, 3.0), (draw(7, 2).astype(np.float64),))
    assert report.passed, str(report)
    report = check_grads(lambda g: placed(g, ROWS, 9), (draw(7).astype(np.float64),))
    assert report.passed, str(report)


@pytest.mark.parametrize("kind", [LoRALinear, DoRALinear])
def test_dropout_drops_what_the_factors_read_and_nothing_else(kind):
    made, x = layer(kind, dropout=0.5), Tensor(draw(3, 6))
    first, second = made(x).data, made(x).data
    assert np.abs(first - second).max() > 0.01
    np.testing.assert_array_equal(first[:, [4, 8]], second[:, [4, 8]])  # rows of no part
    made.B.data[...] = 0
    np.testing.assert_allclose(made(x).data, made.base(x).data, rtol=0, atol=2e-6)
    made.eval()
    np.testing.assert_array_equal(made(x).data, made(x).data)


def test_a_step_makes_no_gradient_of_a_frozen_matrix(monkeypatch):
    """Counted: of all products' weights, only A's and B's gradients are asked for."""
    asked, original = [], active.linear_backward

    def spy(dy, x, weight, activation, bias, wants):
        asked.append((weight.shape, wants[1]))
        return original(dy, x, weight, activation, bias, wants)

    monkeypatch.setattr(active, "linear_backward", spy)
    model, *_ = moved("lora")
    model.loss(IDS, IDS).backward()
    thin = {tuple(p.shape) for n, p in model.named_parameters() if n.endswith(".A")}
    thin |= {(out, factors) for out in (24, 64 + 16, 80) for factors in (3, 6, 9)}
    assert all(shape in thin for shape, wanted in asked if wanted)
    # Of the first projection not even dx: nothing before it learns.
    assert [wanted for _, wanted in asked].count(True) == 2 * 4 * 2
    assert [wanted for _, wanted in asked].count(False) == 2 * 4 - 1


def test_int8_weights_cannot_be_measured_by_dora():
    model = made("llama")
    nn.replace_modules(model, lambda _, m: type(m) is nn.Linear,
                       lambda m: nn.QuantizedLinear.from_linear(m, "int8"))
    with pytest.raises(UserError, match="int8 weights round what they multiply"):
        adapt(model, method("dora"), None)
    adapt(model, method("lora"), None)
