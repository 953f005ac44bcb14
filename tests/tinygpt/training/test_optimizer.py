"""Which parameters share a rate, and how the recipe's switches reach the optimizer."""

import dataclasses

import numpy as np
import pytest

from minigrad import no_grad
from tinygpt.config import ConfigError, TrainingConfig
from tinygpt.model.build import build
from tinygpt.model.shape import ModelShape
from tinygpt.training.optimizer import decay_groups, make_optimizer

SHAPE = ModelShape(vocab_size=31, context=16, n_layers=2, n_heads=2, d_model=24, tied=False)
SCALES = {"embedding_lr": 3.0, "head_lr": 0.5, "vector_lr": 2.0}


def names_by_scale(model, optimizer):
    names = {id(p): name for name, p in model.named_parameters()}
    found = {}
    for group in optimizer.param_groups:
        inside = {names[id(p)] for p in group["params"]}
        found.setdefault(group.get("lr_scale", 1.0), set()).update(inside)
    return found


@pytest.mark.parametrize("kind", ["adamw", "muon", "adamw8bit"])
def test_each_kind_of_parameter_has_its_rate(kind):
    model = build(SHAPE, np.random.default_rng(0))
    found = names_by_scale(model, make_optimizer(model, TrainingConfig(optimizer=kind, **SCALES)))
    assert found[3.0] == {"token_embedding.weight", "position_embedding.weight"}
    assert found[0.5] == {"output.weight"}
    assert found[2.0] == {name for name, p in model.named_parameters() if p.data.ndim == 1}
    assert {name.split(".")[-2] for name in found[1.0]} == {"qkv", "proj", "up", "down"}


@pytest.mark.parametrize("kind", ["adamw", "muon", "adamw8bit"])
def test_without_scales_the_parameters_stand_in_the_order_they_were_saved_in(kind):
    """A checkpoint's moments are numbered by it."""
    model = build(SHAPE, np.random.default_rng(0))
    optimizer = make_optimizer(model, TrainingConfig(optimizer=kind))
    before = [p for group in decay_groups(model, 0.1) for p in group["params"]]
    assert all(a is b for a, b in zip(optimizer.parameters(), before, strict=True))
    assert [len(group["params"]) for group in optimizer.param_groups] == [8, 8]


def test_the_recipe_says_how_muons_momentum_rises():
    model = build(SHAPE, np.random.default_rng(0))
    recipe = TrainingConfig(optimizer="muon", momentum=0.95, momentum_start=0.85, momentum_steps=10)
    optimizer = make_optimizer(model, recipe)
    found = []
    for optimizer.steps in (1, 6, 11, 500):
        found.append(optimizer.momentum_now())
    np.testing.assert_allclose(found, [0.85, 0.9, 0.95, 0.95])
    plain = make_optimizer(model, dataclasses.replace(recipe, momentum=0.9, momentum_start=None))
    assert plain.momentum_now() == 0.9


@pytest.mark.parametrize(
    "wrong", [{"embedding_lr": -1.0}, {"momentum": 1.0}, {"momentum_start": 1.0}]
)
def test_a_recipe_out_of_range_is_refused_by_its_key(wrong):
    with pytest.raises(ConfigError, match=f"training.{next(iter(wrong))} = "):
        TrainingConfig(**wrong)


def test_a_model_that_begins_as_zeros_is_its_embeddings_and_its_head():
    shape = dataclasses.replace(SHAPE, zero_init=True)
    model = build(shape, np.random.default_rng(0)).eval()
    ids = np.random.default_rng(1).integers(0, 31, (2, 16))
    with no_grad():
        alone = model.head(model.norm(model.embed(ids, np.arange(16)))).data
        np.testing.assert_allclose(model(ids).data, alone, rtol=1e-5, atol=1e-6)
    usual = build(SHAPE, np.random.default_rng(0))
    for name, p in model.named_parameters():  # nothing else is drawn otherwise
        same = np.array_equal(p.data, dict(usual.named_parameters())[name].data)
        assert same != name.endswith(("proj.weight", "down.weight"))
