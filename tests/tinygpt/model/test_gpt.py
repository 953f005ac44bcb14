"""The model: its golden losses on every backend, its cache, its agreement with PyTorch."""

import json
from pathlib import Path

import numpy as np
import pytest

import minigrad
from minigrad import no_grad, optim
from tinygpt.config import load_config
from tinygpt.model import GPT, KVCache
from tinygpt.model.shape import ModelShape
from tinygpt.training.optimizer import decay_groups

TINY = ModelShape(vocab_size=31, context=16, n_layers=2, n_heads=2, d_model=24)
GOLDEN = Path(__file__).with_name("golden_losses.json")


def losses(config=TINY, steps=10):
    """A fixed recipe: what the golden file holds, computed in the backend in force."""
    model = GPT(config, np.random.default_rng(0))
    optimizer = optim.AdamW(decay_groups(model, 0.1), lr=1e-2, betas=(0.9, 0.99))
    ids = np.random.default_rng(1).integers(0, config.vocab_size, (4, config.context + 1))
    seen = []
    for _ in range(steps):
        loss = model.loss(ids[:, :-1], ids[:, 1:], label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        _, scale = optim.clip_grad_norm(model.parameters(), 1.0)
        optimizer.step(grad_scale=scale)
        seen.append(loss.item())
    return seen


@pytest.mark.parametrize("backend", ["numpy", "numba", "c"])
def test_golden_losses_on_every_backend(backend):
    golden = json.loads(GOLDEN.read_text())
    try:
        minigrad.use(backend)
    except RuntimeError as error:
        pytest.skip(str(error))
    try:
        np.testing.assert_allclose(losses(), golden, rtol=1e-4)
    finally:
        minigrad.use()


def test_training_on_one_batch_learns_it():
    model = GPT(TINY, np.random.default_rng(0))
    optimizer = optim.AdamW(model.parameters(), lr=1e-2)
    ids = np.random.default_rng(1).integers(0, TINY.vocab_size, (2, TINY.context + 1))
    for _ in range(60):
        loss = model.loss(ids[:, :-1], ids[:, 1:])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3 < np.log(TINY.vocab_size)


@pytest.mark.parametrize("norm", ["layernorm", "rmsnorm"])
@pytest.mark.parametrize("activation", ["gelu", "relu2"])
def test_loss_is_the_cross_entropy_of_the_logits(norm, activation):
    config = ModelShape(31, 16, 2, 2, 24, norm=norm, activation=activation)
    model = GPT(config, np.random.default_rng(0))
    ids = np.random.default_rng(1).integers(0, 31, (3, 17))
    logits = model(ids[:, :-1]).reshape(-1, 31)
    expected = minigrad.cross_entropy(logits, ids[:, 1:].reshape(-1))
    assert model.loss(ids[:, :-1], ids[:, 1:]).item() == pytest.approx(expected.item(), rel=1e-5)


def test_cached_logits_equal_uncached_ones():
    model = GPT(TINY, np.random.default_rng(0)).eval()
    ids = np.random.default_rng(1).integers(0, TINY.vocab_size, (2, 12))
    with no_grad():
        whole = model(ids).data
        cache = KVCache(TINY, batch=2)
        parts = [model(ids[:, :5], cache).data]  # prefill, then token by token
        parts += [model(ids[:, t : t + 1], cache).data for t in range(5, 12)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, atol=1e-5)


def test_a_later_token_does_not_change_earlier_logits():
    model = GPT(TINY, np.random.default_rng(0)).eval()
    ids = np.random.default_rng(1).integers(0, TINY.vocab_size, (1, 10))
    changed = ids.copy()
    changed[0, 7] = (changed[0, 7] + 1) % TINY.vocab_size
    with no_grad():
        before, after = model(ids).data, model(changed).data
    np.testing.assert_array_equal(before[:, :7], after[:, :7])
    assert not np.allclose(before[:, 7:], after[:, 7:])


def test_more_tokens_than_the_context_is_an_error():
    model = GPT(TINY, np.random.default_rng(0))
    with pytest.raises(ValueError, match="17 positions do not fit the context of 16"):
        model(np.zeros((1, 17), dtype=np.int64))


def test_an_id_outside_the_vocabulary_is_named():
    model = GPT(TINY, np.random.default_rng(0))
    with pytest.raises(IndexError, match="id 31"):
        model(np.array([[3, 31]]))


@pytest.mark.parametrize(("name", "millions"), [("S", 0.80), ("M", 2.7), ("B", 5.8), ("L", 10.7)])
def test_reference_configurations_have_their_stated_size(name, millions):
    config = load_config(name, ["model.vocab_size=4096"] if name == "B" else []).model
    model = GPT(config, np.random.default_rng(0))
    assert model.count_parameters() / 1e6 == pytest.approx(millions, rel=0.02)


def test_norms_and_embeddings_do_not_decay():
    decay, keep = decay_groups(GPT(TINY, np.random.default_rng(0)), 0.1)
    assert decay["weight_decay"] == 0.1 and keep["weight_decay"] == 0.0
    assert len(decay["params"]) == 4 * TINY.n_layers  # qkv, proj, up, down
    assert {p.data.shape for p in keep["params"]} == {(24,), (31, 24), (16, 24)}


@pytest.mark.parametrize("name", ["S", "B"])
def test_loss_and_gradients_agree_with_pytorch(name):
    torch = pytest.importorskip("torch")
    from tests.tinygpt.model.torch_oracle import torch_loss

    vocab_size = {"S": 65, "B": 4096}[name]
    changes = ["model.dropout=0", f"model.vocab_size={vocab_size}"]
    config = load_config(name, changes).model
    model = GPT(config, np.random.default_rng(0))
    ids = np.random.default_rng(1).integers(0, config.vocab_size, (2, config.context + 1))
    ours = model.loss(ids[:, :-1], ids[:, 1:])
    ours.backward()
    weights = {
        name: torch.tensor(parameter.data, requires_grad=True)
        for name, parameter in model.named_parameters()
    }
    theirs = torch_loss(weights, config, torch.tensor(ids[:, :-1]), torch.tensor(ids[:, 1:]))
    theirs.backward()
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-4)
    for name, parameter in model.named_parameters():
        expected = weights[name].grad.numpy()
        error = np.linalg.norm(parameter.grad - expected) / np.linalg.norm(expected)
        assert error < 1e-4, f"{name}: relative error {error:.1e}"
