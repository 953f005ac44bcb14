"""What a shape says of its model before it is built, beside what a model that was built has."""

import pytest

from minigrad import nn
from tinygpt.model import build
from tinygpt.model.shape import ModelShape

SHAPES = {
    "gpt": {},
    "pairs": {"bigrams": True, "positions": "alibi"},
    "smear": {"smear": True, "positions": "none"},
    "untied": {"tied": False, "positions": "relative"},
    "shared": {"n_layers": 5, "n_blocks": 2, "positions": "rope", "activation": "swiglu"},
    "narrow heads": {"head_dim": 6, "n_kv_heads": 2, "bias": "all"},
    "encoder": {"family": "bert"},
    "factorised": {"family": "albert", "embedding_size": 16, "n_layers": 3, "n_blocks": 1},
    "encoder-decoder": {"family": "t5", "n_layers": 3},
}


def made(name):
    values = {"vocab_size": 17, "context": 12, "n_layers": 2, "n_heads": 4, "d_model": 32}
    shape = ModelShape(**ModelShape.fill({**values, **SHAPES[name]}))
    return shape, build(shape, None)


@pytest.mark.parametrize("name", SHAPES)
def test_tables_are_the_models(name):
    shape, model = made(name)
    tables = {id(m.weight): m.weight for m in model.modules() if isinstance(m, nn.Embedding)}
    biases = [p for name, p in model.named_parameters() if "relative" in name or "buckets" in name]
    assert shape.tables == sum(p.size for p in [*tables.values(), *biases])


@pytest.mark.parametrize("name", SHAPES)
def test_operations_are_those_of_what_is_multiplied(name):
    shape, model = made(name)
    stacks = [model] if hasattr(model, "blocks") else [model.encoder, model.decoder]
    layers = sum(block.count_parameters() for half in stacks for block in half.layers())
    blocks = sum(half.blocks.count_parameters() for half in stacks)
    multiplied = shape.parameters - shape.tables - blocks + layers + 17 * shape.embedding
    heads, _, size = shape.heads
    looks = 3 if len(stacks) == 2 else 1
    scores = 12 * looks * shape.n_layers * heads * size * shape.context
    assert model.flops_per_token() == shape.flops_per_token == 6 * multiplied + scores


def test_a_table_of_pairs_costs_no_operations():
    plain = ModelShape(positions="alibi")
    pairs = ModelShape(positions="alibi", bigrams=True)
    assert pairs.parameters > 1.5 * plain.parameters
    assert pairs.flops_per_token == plain.flops_per_token
