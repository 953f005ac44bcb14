"""Lens, account, habits, surprise, vectors, matrices: each against a plain other way."""

from types import SimpleNamespace

import numpy as np
import pytest

from minigrad import nn
from tests.tinygpt.inspection.conftest import TINY, model_of
from tinygpt.errors import UserError
from tinygpt.inference.sampling import Sampling
from tinygpt.inspection import account as accounts
from tinygpt.inspection import habits, matrices, vectors, watch
from tinygpt.inspection.lens import lens
from tinygpt.inspection.surprise import candidates, losses

SUMS = ["gpt", "llama", "qwen3", "biases", "shared", "alibi"]


@pytest.mark.parametrize("name", [*SUMS, "bert"])
def test_the_lens_ends_at_the_served_logits(name, ids):
    model = model_of(name)
    seen = watch(model, ids)
    found = lens(model, seen, k=5)
    assert found.tokens.shape == (4, 20, 5)
    assert np.array_equal(found.tokens[-1, :, 0], seen.logits.argmax(axis=-1))
    assert not found.rank[-1].any()
    p = np.exp(seen.logits.astype(np.float64))
    p /= p.sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(found.probabilities[-1], -np.sort(-p)[:, :5], atol=1e-6)
    np.testing.assert_allclose(found.entropy[-1], -(p * np.log(p)).sum(-1), atol=1e-6)


def test_the_entropy_of_a_wide_vocabulary_is_float64s():
    logits = (3 * np.random.default_rng(0).standard_normal((6, 49_152))).astype(np.float32)
    found = lens(model_of("gpt"), SimpleNamespace(logits=logits, layers=[]), rows=[0])
    x = logits.astype(np.float64)
    p = np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(found.entropy[0], -(p * np.log(p)).sum(axis=-1), atol=1e-5)
    np.testing.assert_allclose(found.probabilities[0], -np.sort(-p)[:, :10], rtol=1e-5)


def test_an_early_row_is_a_model_of_fewer_layers(ids):
    deep, shallow = model_of("gpt"), model_of("gpt", n_layers=2)
    state = {k: v for k, v in deep.state_dict().items() if not k.startswith("blocks.2.")}
    shallow.load_state_dict(state)
    found, cut = lens(deep, watch(deep, ids)), watch(shallow, ids)
    assert np.array_equal(found.tokens[2, :, 0], cut.logits.argmax(axis=-1))


@pytest.mark.parametrize("name", SUMS)
def test_the_shares_sum_to_the_logit(name, ids):
    model = model_of(name)
    seen = watch(model, ids)
    for position, token in ((0, 3), (19, 30)):
        found = accounts.account(model, seen, position, token)
        assert found.logit == seen.logits[position, token]
        assert abs(found.rounding) <= 1e-4
        parts = found.start + found.heads.sum() + found.rest.sum() + found.mlps.sum() + found.norm
        assert parts + found.rounding == pytest.approx(found.logit, abs=1e-9)
        assert found.heads.shape == (3, 4)
        assert (name == "biases") == bool(np.abs(found.rest).max() > 1e-4)


def test_a_heads_share_is_what_the_logit_loses_without_it_where_nothing_reads_it(ids):
    """Of the last layer's heads only the norm and the MLP after them know: with that MLP silent and
    the divisor put back, the difference is the share."""
    model = model_of("llama")
    model.blocks[2].mlp.down.weight.data[:] = 0
    seen = watch(model, ids)
    found = accounts.account(model, seen, 19, 7)
    off = watch(model, ids, [(2, 1)])
    rms = [np.sqrt((s.layers[-1].stream[19].astype(np.float64) ** 2).mean() + model.norm.eps)
           for s in (seen, off)]
    lost = seen.logits[19, 7] - off.logits[19, 7] * rms[1] / rms[0]
    assert found.heads[2, 1] == pytest.approx(lost, abs=1e-4)


@pytest.mark.parametrize("more, words", [
    ({"norm_place": "post"}, "norms after adding"), ({"softcap": 3.0}, "bends its logits"),
])
def test_a_logit_that_is_no_sum_has_no_account(more, words, ids):
    model = model_of("gpt", **more)
    with pytest.raises(UserError, match=words):
        accounts.account(model, watch(model, ids), 0, 0)
    bert = model_of("bert")
    with pytest.raises(UserError, match="encoder's head"):
        accounts.account(bert, watch(bert, ids), 0, 0)


def test_places_of_habits_on_a_text_by_hand():
    previous, first, same, induction = habits.places(np.array([5, 6, 5, 6]))
    assert previous.tolist() == np.eye(4, k=-1, dtype=bool).tolist()
    assert first[:, 0].tolist() == [False, True, True, True] and not first[:, 1:].any()
    assert np.argwhere(same).tolist() == [[2, 0], [3, 1]]
    assert np.argwhere(induction).tolist() == [[2, 1], [3, 2]]


def test_habits_of_a_head_that_was_built_to_look_back():
    """ALiBi with keys and queries of zero and a steep slope: the nearest weigh most."""
    model = model_of("alibi", n_heads=1, n_layers=1)
    model.blocks[0].attention.qkv.weight.data[: 2 * 32] = 0
    model.positions._slopes[:] = 40
    found = habits.habits(model)  # all weight on the token itself
    assert found.shape == (4, 1, 1) and found.max() < 1e-6
    model.positions._slopes[:] = 0  # all keys alike
    even = habits.habits(model)[:, 0, 0]
    assert even[1] == pytest.approx(np.mean([1 / t for t in range(2, 25)]))
    assert habits.names(np.array([[[0.1]], [[0.5]], [[0.2]], [[0.0]]])) == [["first"]]
    assert habits.names(np.full((4, 1, 1), 0.1)) == [[""]]


def test_losses_are_the_surprise_at_each_token(ids):
    model = model_of("gpt")
    found = losses(watch(model, ids))
    assert np.isnan(found[0])
    assert found[1:].mean() == pytest.approx(
        model.loss(ids[None, :-1], ids[None, 1:]).item(), rel=1e-5
    )


def test_candidates_before_and_after_the_filters():
    logits = np.log(np.array([[0.5, 0.2, 0.2, 0.1]]))
    found = candidates(logits, Sampling(top_k=1), k=4)
    assert found.tokens.tolist() == [[0, 1, 2, 3]]
    np.testing.assert_allclose(found.before, [[0.5, 0.2, 0.2, 0.1]])
    assert found.after.tolist() == [[1, 0, 0, 0]]
    hot = candidates(logits, Sampling(temperature=2.0), k=4).after
    np.testing.assert_allclose(hot, np.sqrt([[0.5, 0.2, 0.2, 0.1]]) / np.sqrt(
        [0.5, 0.2, 0.2, 0.1]).sum())
    assert candidates(logits, Sampling(temperature=0)).after[0].tolist() == [1, 0, 0, 0]


def test_the_map_shows_the_two_widest_directions():
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(50, 2)) * [5, 1]
    turn, _ = np.linalg.qr(rng.normal(size=(7, 7)))
    places, shares = vectors.principal_map((flat @ turn[:2]).astype(np.float32) + 3)
    assert shares.sum() == pytest.approx(1, abs=1e-6) and shares[0] > 0.9
    distance = np.linalg.norm(flat[0] - flat[1])
    assert np.linalg.norm(places[0] - places[1]) == pytest.approx(distance, rel=1e-4)
    again, _ = vectors.principal_map(-(flat @ turn[:2]))
    assert again[np.abs(again).argmax(0), [0, 1]].min() > 0


def test_neighbours_are_sorted_by_cosine():
    table = np.array([[1, 0], [2, 0.1], [0, 1], [-1, 0], [0, 0]], np.float32)
    ids_, cosines = vectors.nearest(table, 0, k=3)
    assert ids_.tolist() == [1, 2, 4] and cosines[0] == pytest.approx(0.99875, abs=1e-4)
    assert np.allclose(np.diag(vectors.similarity(table)), [1, 1, 1, 1, 0])


def test_a_matrix_from_outside():
    model = model_of("gpt")
    names = matrices.matrix_names(model)
    assert names[:2] == ["token_embedding", "position_embedding"]
    weight = matrices.matrix_of(model, "blocks.1.mlp.up")
    found = matrices.look_at(weight)
    assert found.counts.sum() == weight.size and found.shape == (128, 32)
    assert (found.singular**2).sum() == pytest.approx((weight.astype(float) ** 2).sum())
    assert found.errors["int8"] < 0.02 < found.errors["int4"] < 0.2
    assert matrices.look_at(np.eye(32, dtype=np.float32)).effective == pytest.approx(32)
    with pytest.raises(UserError, match="'blocks' is no matrix"):
        matrices.matrix_of(model, "blocks")


def test_a_tall_matrix_is_looked_at_by_some_of_its_rows(monkeypatch):
    monkeypatch.setattr(matrices, "MOST_ROWS", 32)
    tall = np.random.default_rng(0).standard_normal((100, 20)).astype(np.float32)
    found = matrices.look_at(tall)
    assert found.rows == 25 and found.counts.sum() == 25 * 20
    for one in (tall, tall.T):
        expected = np.linalg.svd(one.astype(np.float64), compute_uv=False)
        np.testing.assert_allclose(matrices.singular_values(one), expected, atol=1e-8)


def test_a_rounded_matrix_is_shown_as_it_multiplies():
    linear = nn.Linear(32, 32, rng=0)
    rounded = nn.QuantizedLinear.from_linear(linear, "int8")
    holder = nn.Sequential(rounded)
    assert np.array_equal(matrices.matrix_of(holder, "0"), rounded.dequantized())


def test_ids_of_the_test_are_inside_the_vocabulary(ids):
    assert ids.max() < TINY["vocab_size"]
