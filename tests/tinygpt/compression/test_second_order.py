"""Identities of pruning and rounding by what is read, and that they lose less than without."""

import dataclasses

import numpy as np
import pytest

from minigrad import no_grad
from minigrad.nn import QuantizedLinear
from minigrad.nn.quantized import dequantize, quantize
from tinygpt.compression.calibration import WINDOW, Inputs, calibrate, linears, streams, walk
from tinygpt.compression.pruning import BLOCK, magnitude, smallest, sparsegpt, wanda
from tinygpt.compression.rounding import awq_model, awq_scale, fold, gptq, gptq_model
from tinygpt.compression.second_order import damage, damped, made_up, naive, solve
from tinygpt.errors import UserError
from tinygpt.model import build
from tinygpt.model.shape import ModelShape

LLAMA = ModelShape(
    vocab_size=48, context=32, n_layers=3, n_heads=4, n_kv_heads=2, d_model=64,
    activation="swiglu", positions="rope", norm="rmsnorm",
)
GPT2 = ModelShape(vocab_size=48, context=32, n_layers=2, n_heads=2, d_model=32, bias="all")


def correlated(rng, width, rows=4000):
    """Inputs whose neighbours are alike, as activations are."""
    near = 0.9 ** np.abs(np.subtract.outer(np.arange(width), np.arange(width)))
    return rng.standard_normal((rows, width)) @ np.linalg.cholesky(near).T


def inputs_of(x):
    made = Inputs(x.shape[1])
    made.add(x)
    return made


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def weight(rng):
    return rng.standard_normal((24, 200)).astype(np.float32)


@pytest.fixture
def tokens(rng):
    return rng.integers(0, 48, 2000).astype(np.uint16)


def test_solve_is_the_naive_elimination(rng, weight):
    second = inputs_of(correlated(rng, 200)).second

    def look(block, roots):
        gone = smallest((block / roots) ** 2, 0.5)
        return lambda j, column: np.where(gone[:, j], 0, column)

    slow, fast = (f(weight[:6], second, look, 64) for f in (naive, solve))
    assert np.abs(slow - fast).max() < 1e-9
    assert (slow[:, 100:] != weight[:6, 100:]).all()  # what stays has moved


def test_the_first_column_moves_the_others_to_the_least_damage(rng, weight):
    """The closed form of one column fixed, found by least squares."""
    second, kept = inputs_of(correlated(rng, 12)).second, weight[:3, :12]
    made = solve(kept, second, lambda block, roots: lambda j, c: c if j else 0 * c, 12)
    seen = damped(second)
    free = np.linalg.solve(seen[1:, 1:], seen[1:, 0])
    best = kept[:, 1:] + np.outer(kept[:, 0], free)
    assert (made[:, 0] == 0).all()
    assert made[:, 1:] == pytest.approx(best, rel=1e-9)


def test_columns_that_go_at_once_are_made_up_for_by_least_squares(rng, weight):
    x, kept = correlated(rng, 200), np.sort(rng.choice(200, 90, replace=False))
    made = made_up(weight, inputs_of(x).second, kept)
    best = np.linalg.lstsq(x[:, kept], x @ weight.T.astype(np.float64), rcond=None)[0].T
    lost = [np.square(x[:, kept] @ w.T - x @ weight.T).sum() for w in (best, made, weight[:, kept])]
    assert lost[0] <= lost[1] < 1.01 * lost[0] < 0.5 * lost[2]
    assert made_up(weight, 5.0 * np.eye(200), kept) == pytest.approx(weight[:, kept], rel=1e-12)


@pytest.mark.parametrize("scale", [1.0, 37.0])
def test_with_h_a_multiple_of_the_identity_nothing_moves(weight, scale):
    same = scale * np.eye(200)
    rounded, nearest = gptq(weight, same), quantize(weight, "int4")
    assert (rounded.codes == nearest.codes).all() and (rounded.scale == nearest.scale).all()
    alike = Inputs(200)
    alike.second, alike.count, alike.total = same, 10, np.full(200, 10.0)
    assert (wanda(weight, alike, 0.5) == magnitude(weight, 0.5)).all()
    assert (sparsegpt(weight, alike, 0.5) == magnitude(weight, 0.5, BLOCK)).all()
    assert (sparsegpt(weight, alike, 0.5, 4) == magnitude(weight, 0.5, 4)).all()


def test_awq_with_exponent_0_is_rounding_to_the_nearest(rng, weight):
    scaled = awq_scale([weight], inputs_of(correlated(rng, 200)), exponents=[0.0])
    assert (scaled.factor == 1).all()


@pytest.mark.parametrize("prune", [magnitude, wanda, sparsegpt])
def test_two_of_four_are_exactly_two(rng, weight, prune):
    given = () if prune is magnitude else (inputs_of(correlated(rng, 200)),)
    zeros = (prune(weight, *given, 0.5, 4) == 0).reshape(24, 50, 4).sum(axis=2)
    assert (zeros == 2).all()


@pytest.mark.parametrize("share", [0.25, 0.5, 0.7])
def test_a_share_is_a_share_of_each_row(weight, share):
    assert ((magnitude(weight, share) == 0).sum(axis=1) == int(share * 200)).all()
    assert smallest(np.ones((2, 10)), share).sum(axis=1).tolist() == [int(share * 10)] * 2


def test_who_knows_more_of_the_inputs_does_less_damage(rng, weight):
    x = correlated(rng, 200) * np.exp(rng.standard_normal(200))  # channels of many sizes
    inputs = inputs_of(x)

    def cost(made):
        return damage(made.astype(np.float64) - weight, inputs.second)

    pruned = [cost(magnitude(weight, 0.5)), cost(wanda(weight, inputs, 0.5)),
              cost(sparsegpt(weight, inputs, 0.5))]
    assert pruned[0] > 1.5 * pruned[1] > 1.5 * 1.5 * pruned[2]
    nearest = cost(dequantize(quantize(weight, "int4")))
    assert cost(dequantize(gptq(weight, inputs.second))) < 0.6 * nearest
    assert awq_scale([weight], inputs).damage < 0.95 * nearest


@pytest.mark.parametrize("shape", [LLAMA, GPT2], ids=["llama", "gpt2"])
def test_folding_leaves_the_float_model_as_it_was(rng, shape, tokens):
    model = build(shape, rng).eval()
    ids = tokens[None, :32].astype(np.int64)
    with no_grad():
        before = model(ids).data
        for block in model.blocks:
            for norm, reader in ((block.norm1, block.attention.qkv), (block.norm2, block.mlp.up)):
                factor = np.exp(rng.standard_normal(shape.d_model)).astype(np.float32)
                fold([reader], norm, factor)
        assert model(ids).data == pytest.approx(before, abs=2e-5)


@pytest.mark.parametrize("shape", [LLAMA, GPT2], ids=["llama", "gpt2"])
def test_a_walk_sees_what_one_pass_sees(rng, shape, tokens):
    """... as long as nobody changes a block on the way; afterwards the model is as it was."""
    model = build(shape, rng).eval()
    whole, parts = calibrate(model, tokens), list(walk(model, tokens))
    assert [len(part) for part in parts] == [4] * shape.n_layers
    for part in parts:
        for name, inputs in part.items():
            assert inputs.count == whole[name].count == 2000 - 1
            assert inputs.second == pytest.approx(whole[name].second, rel=1e-5, abs=1e-5)
    assert len(linears(model)) == 4 * shape.n_layers


def test_statistics_are_those_of_the_inputs(rng, tokens):
    """Of the second projection after its activation, by hand."""
    model = build(GPT2, rng).eval()
    seen = calibrate(model, tokens[:1100], 1100)["blocks.0.mlp.down"]
    from minigrad import Tensor, ops

    branch = next(streams(model, tokens[:1100], 1100))
    assert len(branch) == GPT2.n_layers + 1
    block, rows = model.blocks[0], []
    with no_grad():
        for passed in streams(model, tokens[:1100], 1100):
            x, stream = block.norm1.add_norm(Tensor(passed[0]), None)
            x, _ = block.norm2.add_norm(block.attention(x), stream)
            rows.append(ops.gelu(block.mlp.up(x)).data.reshape(-1, 128))
    rows = np.concatenate(rows)
    assert seen.second == pytest.approx(rows.T.astype(np.float64) @ rows, rel=1e-3, abs=1e-3)
    assert seen.size == pytest.approx(np.abs(rows).mean(axis=0), rel=1e-4)


@pytest.mark.parametrize("make", [gptq_model, awq_model])
def test_every_matrix_of_the_model_is_rounded(rng, make, tokens):
    model = make(build(LLAMA, rng).eval(), tokens)
    assert isinstance(model.blocks[0].mlp.up, QuantizedLinear)
    assert {m.packed.scheme for m in model.modules() if hasattr(m, "packed")} == {"int4"}


def test_too_little_text_and_norms_behind_are_refused(rng, tokens):
    model = build(LLAMA, rng).eval()
    with pytest.raises(UserError, match="has 100 tokens"):
        calibrate(model, tokens[:100])
    post = build(ModelShape(vocab_size=48, context=32, n_layers=1, n_heads=2, d_model=32,
                            norm_place="post"), rng)
    with pytest.raises(UserError, match="gptq"):
        awq_model(post, tokens)


def test_a_long_context_is_calibrated_in_windows(rng, tokens, monkeypatch):
    model = build(dataclasses.replace(LLAMA, context=4096), rng)
    read = []
    hidden = model.hidden
    monkeypatch.setattr(model, "hidden", lambda ids: read.append(ids.shape) or hidden(ids))
    calibrate(model, tokens)
    assert max(width for _, width in read) == WINDOW
