"""How many values a method trains and keeps, known from shapes before anything is built.

A configuration may describe a model that fits no memory: it is counted, not made.

Read first: adapt.py. Read next: ../planning/plan.py.
"""

from __future__ import annotations

from math import prod

from minigrad.nn.quantized import packed_bytes
from minigrad.ops.linear import GATED
from tinygpt.adapters.config import MethodConfig
from tinygpt.adapters.targets import parts
from tinygpt.model.shape import ModelShape

FLOAT = 4  # bytes


def matrices(shape: ModelShape) -> dict[str, tuple[int, int]]:
    """Module -> (out, in) of what a decoder's block multiplies by."""
    c, (heads, kv_heads, size), hidden = shape.d_model, shape.heads, shape.hidden
    return {
        "attention.qkv": ((heads + 2 * kv_heads) * size, c), "attention.proj": (c, heads * size),
        "mlp.up": (hidden * (2 if shape.activation in GATED else 1), c), "mlp.down": (c, hidden),
    }


def _chosen(shape: ModelShape, method: MethodConfig) -> list[tuple[str, int, int, list[int]]]:
    """(module, out, in, rows of each part that is a target) of those that have one."""
    found = []
    for name, (out, inner) in matrices(shape).items():
        known = parts(name, shape)
        sizes = [known[part][1] - known[part][0] for part in known if part in method.matrices]
        if sizes:
            found.append((name, out, inner, sizes))
    return found


def trained_values(shape: ModelShape, method: MethodConfig) -> int:
    """Values that a method trains on a decoder of a shape."""
    c, (_, kv_heads, size) = shape.d_model, shape.heads
    if method.name == "full":
        return shape.parameters
    if method.name == "prompt":
        return method.tokens * shape.embedding
    if method.name == "prefix":
        block = 2 * method.tokens * kv_heads * size
    elif method.name == "bottleneck":  # behind both halves
        block = 2 * (2 * c * method.width + method.width + c)
    elif method.name == "ia3":
        block = sum(
            inner if name == "mlp.down" else sum(sizes)
            for name, _, inner, sizes in _chosen(shape, method)
        )
    else:
        magnitudes = method.name == "dora"
        block = sum(
            method.rank * (len(sizes) * inner + sum(sizes)) + magnitudes * sum(sizes)
            for _, _, inner, sizes in _chosen(shape, method)
        )
    return shape.blocks * block


def kept_floats(shape: ModelShape, method: MethodConfig) -> int:
    """Floats a token that a method keeps in a block for backward, beside what the block keeps.

    The thin results of the factors; of dora also each product before it is stretched; of ia3 what
    was scaled; of a prefix the keys and values with those before them; of a bottleneck its middle.
    """
    _, kv_heads, size = shape.heads
    chosen = _chosen(shape, method)
    if method.name == "prefix":
        return 2 * kv_heads * size
    if method.name == "bottleneck":
        return 2 * method.width
    if method.name == "ia3":
        return sum(inner if name == "mlp.down" else out for name, out, inner, _ in chosen)
    if method.name in ("lora", "qlora", "dora"):
        thin = sum(method.rank * len(sizes) for *_, sizes in chosen)
        return thin + sum(out for _, out, _, _ in chosen) * (method.name == "dora")
    return 0


def frozen_bytes(shape: ModelShape, method: MethodConfig) -> int:
    """What the base's weights take: floats, of qlora a block's matrices in nf4."""
    if method.name == "full":
        return 0
    if method.name != "qlora":
        return FLOAT * shape.parameters
    sizes = matrices(shape).values()
    floats = shape.parameters - shape.blocks * sum(map(prod, sizes))
    return FLOAT * floats + shape.blocks * sum(packed_bytes("nf4", size) for size in sizes)
