"""The raced PyTorch model is ours: with our weights it gives our logits and our loss."""

import dataclasses

import numpy as np
import pytest

from minigrad import no_grad
from tinygpt.config import TrainingConfig
from tinygpt.model.build import build
from tinygpt.model.shape import ModelShape
from tinygpt.training.optimizer import make_optimizer
from tinygpt.training.step import update

torch = pytest.importorskip("torch")
from bench.peers.torch_gpt import GPT, make_muon  # noqa: E402

SHAPE = ModelShape(vocab_size=31, context=16, n_layers=2, n_heads=4, d_model=24)
NAMES = {"attention.": "", "mlp.": "", "proj.": "projection."}


def theirs(name):
    for ours, other in NAMES.items():
        name = name.replace(ours, other)
    return name


def pair(**changes):
    shape = dataclasses.replace(SHAPE, **changes)
    model = build(shape, np.random.default_rng(0))
    alibi = shape.alibi_scale if shape.positions == "alibi" else None
    peer = GPT(31, 16, 2, 4, 24, alibi, shape.bigrams)
    weights = {theirs(name): torch.tensor(p.data) for name, p in model.named_parameters()}
    peer.load_state_dict(weights)
    return model, peer


@pytest.mark.parametrize(
    "changes", [{}, {"positions": "alibi", "alibi_scale": 4.0}, {"bigrams": True}]
)
def test_logits_agree(changes):
    model, peer = pair(**changes)
    ids = np.random.default_rng(1).integers(0, 31, (2, 11))
    with no_grad():
        ours = model.eval()(ids).data
    found = peer(torch.tensor(ids)).detach().numpy()
    np.testing.assert_allclose(found, ours, atol=1e-4, rtol=1e-4)


def test_a_step_of_pytorchs_muon_is_about_ours():
    """Singular values that end near 1 differ by the coefficients of the two; all else is the same:
    size, direction, decay, momentum."""
    model, peer = pair(positions="alibi", bigrams=True)
    recipe = TrainingConfig(optimizer="muon", lr=0.02, weight_decay=0.1, embedding_lr=3.0)
    ids = np.random.default_rng(1).integers(0, 31, (2, 17))
    before = {theirs(name): p.data.copy() for name, p in model.named_parameters()}
    optimizer, optimizers = make_optimizer(model, recipe), make_muon(peer, recipe)
    for _ in range(3):
        model.loss(ids[:, :-1], ids[:, 1:]).backward()
        update(optimizer, recipe.lr, 1.0, None)
        optimizer.zero_grad()
        peer(torch.tensor(ids[:, :-1]), torch.tensor(ids[:, 1:])).backward()
        for each in optimizers:
            each.step()
        peer.zero_grad()
    moved = {theirs(name): p.data for name, p in model.named_parameters()}
    for name, p in peer.named_parameters():
        ours, other = moved[name] - before[name], p.detach().numpy() - before[name]
        cosine = (ours * other).sum() / (np.linalg.norm(ours) * np.linalg.norm(other))
        assert cosine > 0.9, name
        assert np.linalg.norm(ours) == pytest.approx(np.linalg.norm(other), rel=0.2), name
