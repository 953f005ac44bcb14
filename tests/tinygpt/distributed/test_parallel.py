"""Tensor and pipeline parallel: a model of two layers, cut, learns what it learns whole."""

import numpy as np
import pytest

from tinygpt.data.batches import Batch
from tinygpt.distributed.pipeline import BACKWARD, FORWARD, Stage, one_forward_one_backward
from tinygpt.distributed.tensor_parallel import Divided, divide
from tinygpt.distributed.threads import together
from tinygpt.model.build import build
from tinygpt.model.shape import ModelShape

SHAPE = {"n_layers": 2, "n_heads": 4, "d_model": 16, "context": 12, "vocab_size": 11}


def model(**shape):
    return build(ModelShape(**{**SHAPE, "dropout": 0.0, **shape}), np.random.default_rng(0))


def batches(count):
    rng = np.random.default_rng(1)
    return [Batch(*(rng.integers(0, 11, (3, 12)) for _ in range(2))) for _ in range(count)]


def whole(drawn, **shape):
    """(mean loss, name -> gradient) of one process."""
    one, total = model(**shape), 0.0
    for batch in drawn:
        loss = one.loss(batch.ids, batch.targets)
        loss.backward(np.asarray(1 / len(drawn), loss.dtype))
        total += loss.item() / len(drawn)
    return total, {name: p.grad for name, p in one.named_parameters()}


@pytest.mark.parametrize("ranks", [2, 4])
def test_slices_of_layers_have_the_gradients_of_the_whole(ranks):
    (batch,) = batches(1)
    loss, right = whole([batch])

    def work(communicator):
        one = model()
        divide(one, communicator)
        found = one.loss(batch.ids, batch.targets)
        found.backward()
        return found.item(), {n: p.grad for n, p in one.named_parameters()}, one

    results = together(ranks, work)
    assert [found for found, _, _ in results] == pytest.approx([loss] * ranks, rel=1e-6)
    parts = [grads for _, grads, _ in results]
    for name in ("token_embedding.weight", "blocks.0.norm1.weight", "norm.weight"):
        for grads in parts:
            np.testing.assert_allclose(grads[name], right[name], atol=1e-6)
    for layer in range(2):
        name = f"blocks.{layer}.mlp.part"
        up = np.concatenate([grads[f"{name}.up.weight"] for grads in parts])
        down = np.concatenate([grads[f"{name}.down.weight"] for grads in parts], axis=1)
        np.testing.assert_allclose(up, right[f"blocks.{layer}.mlp.up.weight"], atol=1e-6)
        np.testing.assert_allclose(down, right[f"blocks.{layer}.mlp.down.weight"], atol=1e-6)
        name = f"blocks.{layer}.attention.part"
        rows = [np.split(grads[f"{name}.qkv.weight"], 3) for grads in parts]  # q, k, v of each
        qkv = np.concatenate([three[i] for i in range(3) for three in rows])
        proj = np.concatenate([grads[f"{name}.proj.weight"] for grads in parts], axis=1)
        np.testing.assert_allclose(qkv, right[f"blocks.{layer}.attention.qkv.weight"], atol=1e-6)
        np.testing.assert_allclose(proj, right[f"blocks.{layer}.attention.proj.weight"], atol=1e-6)


def test_a_rank_holds_its_share_of_the_blocks():
    def work(communicator):
        one = model()
        before = one.blocks.count_parameters()
        divide(one, communicator)
        assert sum(isinstance(m, Divided) for m in one.modules()) == 4
        return one.blocks.count_parameters() / before

    assert together(4, work) == pytest.approx([0.25] * 4, abs=0.01)


@pytest.mark.parametrize("ranks, shape, message", [
    (3, {}, "4 attention heads do not go into 3"), (2, {"bias": "all"}, "without biases"),
    (2, {"activation": "swiglu"}, "without biases, gates"),
])
def test_a_cut_that_does_not_go_is_refused(ranks, shape, message):
    with pytest.raises(ValueError, match=message):
        together(ranks, lambda communicator: divide(model(**shape), communicator))


@pytest.mark.parametrize("ranks, count", [(1, 2), (2, 1), (2, 4)])
def test_stages_have_the_gradients_of_the_whole(ranks, count):
    drawn = batches(count)
    loss, right = whole(drawn, tied=False)

    def work(communicator):
        stage = Stage(model(tied=False), communicator)
        return stage.step(drawn), {
            n: p.grad for n, p in stage.model.named_parameters() if p.grad is not None
        }

    results = together(ranks, work)
    assert [found is None for found, _ in results] == [True] * (ranks - 1) + [False]
    assert results[-1][0] == pytest.approx(loss, rel=1e-6)
    found = {name: grad for _, grads in results for name, grad in grads.items()}
    assert sum(len(grads) for _, grads in results) == len(found) and found.keys() == right.keys()
    for name, grad in found.items():
        np.testing.assert_allclose(grad, right[name], atol=1e-6, err_msg=name)


@pytest.mark.parametrize("stages, count", [(1, 3), (2, 4), (4, 8), (4, 2)])
def test_a_schedule_runs_every_batch_and_keeps_few(stages, count):
    for stage in range(stages):
        order = one_forward_one_backward(stage, stages, count)
        assert [i for what, i in order if what == FORWARD] == list(range(count))
        assert [i for what, i in order if what == BACKWARD] == list(range(count))
        kept, most = 0, 0
        for what, _ in order:
            kept += 1 if what == FORWARD else -1
            most = max(most, kept)
        assert most == min(stages - stage, count) and kept == 0


def test_a_tied_model_is_refused_by_a_pipeline():
    with pytest.raises(ValueError, match="untied"):
        together(1, lambda communicator: Stage(model(), communicator))
    with pytest.raises(ValueError, match="2 layers do not go over 3 ranks"):
        together(3, lambda communicator: Stage(model(tied=False), communicator))
