"""Packed rows: the same loss as padded ones, every sample once, and a place that is kept."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygpt.config import structure
from tinygpt.finetuning.config import FinetuningRecipe
from tinygpt.finetuning.objective import answer_loss
from tinygpt.finetuning.packing import (
    IGNORE,
    PackedRows,
    batch_of,
    in_rows,
    packed,
)
from tinygpt.finetuning.rendering import Sample
from tinygpt.model import ModelShape, build
from tinygpt.storage.reading import FormatError
from tinygpt.training.optimizer import make_optimizer
from tinygpt.training.step import gradients, update

LENGTH, VOCAB = 24, 11


def samples(count, seed=0):
    """Ragged ones, some of whose tokens are learned."""
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        length = int(rng.integers(2, 14))
        learned = rng.random(length) < 0.4
        learned[-1] = True
        found.append(Sample(rng.integers(0, VOCAB, length), learned))
    return found


def shaped(**settings):
    values = {"vocab_size": VOCAB, "context": LENGTH, "n_layers": 2, "n_heads": 2, "d_model": 16}
    return structure(ModelShape, {**values, **settings})


SHAPES = {
    "gpt": {}, "llama": {"family": "llama", "n_kv_heads": 1}, "alibi": {"positions": "alibi"},
    "relative": {"positions": "relative"}, "sinusoidal": {"positions": "sinusoidal"},
    "window": {"family": "llama", "window": 3}, "untied": {"tied": False, "softcap": 5.0},
}


@pytest.mark.parametrize("settings", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("recompute", [False, True])
def test_packed_is_padded(settings, recompute):
    """Loss and every gradient, of the same samples in few rows and in one each."""
    model = build(shaped(**settings), np.random.default_rng(1))
    model.recompute = recompute
    data = samples(9)
    found = []
    for rows in (in_rows(data, LENGTH), in_rows(data, None)):
        batch = batch_of([[data[i] for i in row] for row in rows])
        model.zero_grad()
        loss = answer_loss(model, batch)
        loss.backward()
        found.append((loss.item(), batch.weight, batch.tokens,
                      {n: p.grad.copy() for n, p in model.named_parameters()}))
    (a, *counts, one), (b, *others, two) = found
    assert len(in_rows(data, LENGTH)) < 9 and counts == others
    assert a == pytest.approx(b, abs=1e-5)
    for name, grad in one.items():
        np.testing.assert_allclose(grad, two[name], atol=2e-5, err_msg=name)


def test_without_starts_samples_in_a_row_would_see_each_other():
    model = build(shaped(), np.random.default_rng(1))
    data = samples(9)
    rows = in_rows(data, LENGTH)
    batch = batch_of([[data[i] for i in row] for row in rows])
    seeing = batch._replace(starts=np.zeros_like(batch.starts))
    assert abs(answer_loss(model, batch).item() - answer_loss(model, seeing).item()) > 1e-3


def test_the_loss_is_that_of_the_answers_alone():
    """By the logits of the whole model, token by token."""
    model = build(shaped(), np.random.default_rng(1))
    data = samples(5)
    batch = batch_of([[sample] for sample in data])
    total = count = 0
    for sample in data:
        logits = model(sample.ids[None, :-1]).data[0].astype(np.float64)
        log_p = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        for t in np.flatnonzero(sample.learned[1:]):
            total -= log_p[t, sample.ids[t + 1]]
            count += 1
    assert batch.weight == count
    assert answer_loss(model, batch).item() == pytest.approx(total / count, abs=1e-5)


def test_the_gradient_of_a_target_that_is_not_learned_is_exactly_0():
    """Whatever stands there: the head's rows, and the last position, which nothing else reads."""
    model = build(shaped(tied=False), np.random.default_rng(1))
    ids = np.array([1, 2, 3, 4, 5])
    data = Sample(ids, np.array([False, False, True, False, False]))
    batch = batch_of([[data]])
    assert batch.targets.tolist() == [[IGNORE, 3, IGNORE, IGNORE]]
    found = []
    for last in (4, 7):  # behind all that is learned
        changed = batch._replace(ids=np.where(batch.ids == 4, last, batch.ids))
        model.zero_grad()
        loss = answer_loss(model, changed)
        loss.backward()
        found.append({n: p.grad.copy() for n, p in model.named_parameters()})
    assert not found[0]["position_embedding.weight"][2:].any()
    assert not found[0]["token_embedding.weight"][[3, 4, 7]].any()
    for name, grad in found[0].items():
        np.testing.assert_array_equal(grad, found[1][name], err_msg=name)


def trained(cut):
    """Parameters after five steps on 32 ragged samples, in batches of `cut`."""
    model = build(shaped(), np.random.default_rng(1))
    recipe = FinetuningRecipe(eps=1e-6)  # a gradient of 0 but for rounding must not make a step
    optimizer = make_optimizer(model, recipe)
    data = samples(32)
    for _ in range(5):
        parts = [data[at : at + cut] for at in range(0, 32, cut)]
        batches = [batch_of([[sample] for sample in part]) for part in parts]
        gradients(model, batches, lambda m, b: (answer_loss(m, b), {}), optimizer)
        update(optimizer, recipe.lr, 1.0, None)
    return model.state_dict()


def test_accumulation_is_of_tokens_however_they_are_cut():
    whole = trained(32)
    for cut in (1, 5):
        for name, array in trained(cut).items():
            np.testing.assert_allclose(array, whole[name], atol=1e-6, err_msg=f"{cut} {name}")


@given(st.lists(st.integers(1, 20), max_size=90))
def test_every_sample_is_in_one_row_and_no_row_is_too_long(sizes):
    rows = packed(sizes, 20)
    assert sorted(i for row in rows for i in row) == list(range(len(sizes)))
    assert all(sum(sizes[i] for i in row) <= 20 for row in rows)


def test_an_epoch_has_every_sample_once_and_another_order():
    data = [Sample(np.array([i % VOCAB, i]), np.array([False, True])) for i in range(30)]
    loader = PackedRows(data, 5, 2, np.random.default_rng(0))
    epochs = [[int(t) for _ in range(3) for t in next(loader).targets.ravel()] for _ in range(2)]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(30)) and epochs[0] != epochs[1]


@pytest.mark.parametrize("length", [None, LENGTH])
def test_a_place_is_kept_to_the_row(length):
    loader = PackedRows(samples(20), 3, length, np.random.default_rng(0))
    for _ in range(17):
        next(loader)
    state = loader.state_dict()
    expected = [next(loader) for _ in range(20)]
    other = PackedRows(samples(20), 3, length, np.random.default_rng(9))
    other.load_state_dict(state)
    for batch in expected:
        for a, b in zip(batch, next(other), strict=True):
            np.testing.assert_array_equal(a, b)
    with pytest.raises(FormatError, match="is at row 99"):
        other.load_state_dict({**state, "row": 99})
