"""What a method trains, keeps and leaves as it is: counted, and held against what is built."""

import dataclasses
import tracemalloc

import numpy as np
import pytest

from kernels import memory
from minigrad import nn, optim
from tinygpt.adapters import MethodConfig, adapt
from tinygpt.adapters.count import frozen_bytes, trained_values
from tinygpt.config import from_dict
from tinygpt.finetuning.objective import Finetuning
from tinygpt.model import ModelShape, build
from tinygpt.model.families import FAMILIES
from tinygpt.planning import plan as plans
from tinygpt.training.optimizer import make_optimizer
from tinygpt.training.step import gradients, update

NAMES = ("lora", "dora", "qlora", "ia3", "bottleneck", "prefix", "prompt")
SHAPES = [
    {"family": family, "n_heads": 4, **({"n_kv_heads": 2} if "n_kv" in str(row) else {})}
    for family, row in FAMILIES.items() if "assembly" not in row
] + [{"n_layers": 4, "n_blocks": 2, "head_dim": 8, "d_ff": 48, "bias": "all"},
     {"family": "qwen3", "n_kv_heads": 1, "head_dim": 24}]
METHODS = [{"name": name} for name in NAMES] + [
    {"name": "lora", "targets": ("qkv",), "rank": 3}, {"name": "dora", "targets": ("v", "gate")},
    {"name": "ia3", "targets": ("q", "down")}, {"name": "lora", "targets": ("up", "o")},
    {"name": "prefix", "tokens": 5}, {"name": "bottleneck", "width": 7}, {"name": "full"},
]


def shape_of(values):
    return ModelShape(**ModelShape.fill({"vocab_size": 50, "context": 32, "n_layers": 2,
                                         "d_model": 64, **values}))


@pytest.mark.parametrize("values", SHAPES, ids=str)
@pytest.mark.parametrize("settings", METHODS, ids=str)
def test_what_is_trained_and_frozen_is_counted_as_it_is_built(values, settings):
    shape, method = shape_of(values), MethodConfig(**settings)
    if method.targets == ("v", "gate") and "glu" not in shape.activation:
        method = dataclasses.replace(method, targets=("v",))
    model = build(shape, np.random.default_rng(0))
    adapt(model, method, np.random.default_rng(0))
    trained = sum(p.data.size for p in model.parameters() if p.requires_grad)
    assert trained_values(shape, method) == trained
    rounded = sum(m.packed.nbytes for m in model.modules() if isinstance(m, nn.QuantizedLinear))
    frozen = sum(p.data.nbytes for p in model.parameters() if not p.requires_grad)
    assert frozen_bytes(shape, method) == rounded + frozen


def finetuning(method, **model):
    return Finetuning(from_dict({
        "objective": "finetuning", "method": {"name": method}, "data": {"length": 128},
        "model": {"n_layers": 6, "d_model": 128, "context": 160, "vocab_size": 512, **model},
        "base": None if method == "full" else "x", "training": {"batch_size": 4},
    }))


def test_an_adapter_of_a_model_that_fits_no_memory_is_counted_unbuilt():
    whole = finetuning("lora", n_layers=10**9, d_model=2**20, n_heads=4)
    assert whole.parameters > 10**15 and whole.frozen_bytes() > 10**21
    assert plans.estimate(whole, 0).total > 10**20


@pytest.mark.parametrize("method", ["full", *NAMES])
def test_a_plan_counts_what_a_step_takes_and_what_frozen_weights_spare(method, monkeypatch):
    """Measured are the kernels' pages and NumPy's own arrays of a pass, and moments that stay."""
    objective, taken = finetuning(method), [0]
    rng = np.random.default_rng(0)
    model = build(objective.config.model, rng)
    adapt(model, objective.config.method, rng)
    optimizer = make_optimizer(model, objective.config.training)
    batch = objective.example(rng)

    def pages(nbytes, take=memory._pages):
        taken[0] += nbytes
        return take(nbytes)

    monkeypatch.setattr(memory, "_pages", pages)
    memory.pool.clear()
    tracemalloc.start()
    gradients(model, [batch], objective.loss, optimizer)
    taken[0] += tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    counted = plans.estimate(objective, 0)
    assert taken[0] == pytest.approx(counted.activations + counted.gradients, rel=0.25)
    update(optimizer, 0.0, optim.global_norm(optimizer.parameters()), 1.0)
    moments = sum(a.nbytes for a in optimizer.state_dict().values() if a.size > 1)
    assert moments == pytest.approx(counted.moments, rel=0.02)
    whole = plans.estimate(finetuning("full"), 0)
    if method != "full":
        assert counted.moments + counted.gradients < 0.15 * (whole.moments + whole.gradients)
