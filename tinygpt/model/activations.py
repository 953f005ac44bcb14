"""What a training pass keeps in memory for its backward pass, counted op by op.

Read next: ../planning/plan.py, which corrects the count by a trial.
"""

from __future__ import annotations

from minigrad.ops.linear import GATED
from tinygpt.model.shape import ModelShape

FLOAT = 4  # bytes
LOGITS = 2 * 8 << 20  # bytes of a chunk of logits and of its gradient (linear_cross_entropy)


def activation_bytes(
    shape: ModelShape, batch: int, recompute: bool = False, beside: int = 0
) -> int:
    """Bytes alive when backward begins, and backward's own largest work buffers.

    Floats a token in one block: two norms keep their input (2 C; their output is made again),
    attention its packed projection ((H + 2 Hkv) D), normed queries and keys, output and one
    number a head (H D + H), the MLP its hidden layer before the activation (4 C; behind a gate
    both halves).  Recomputing keeps two C a block, and one block's in full while it is done.
    An encoder-decoder has all that for a source and for a target, and in the decoder's blocks a
    norm, queries, output and what a head keeps, and the source's keys and values.
    beside: floats a token that an adapter keeps in a block.
    """
    c, layers, (heads, kv_heads, size) = shape.d_model, shape.n_layers, shape.heads
    first = shape.hidden * (2 if shape.activation in GATED else 1)  # what the MLP keeps
    packed = (heads + 2 * kv_heads) * size
    normed = (heads + kv_heads) * size if shape.qk_norm else 0
    block = 2 * c + packed + normed + heads * size + heads + first + beside
    kept = 2 * c * layers + block if recompute else block * layers
    if shape.assembly == "encoder-decoder":
        across = c + 2 * (heads + kv_heads) * size + heads
        kept += kept + across * (1 if recompute else layers)
        kept += 2 * kv_heads * size * layers * recompute  # what a recomputed block reads
    outside = 2 * c  # last norm, the stream's gradient
    work = 2 * c + first  # a norm made again, gradients of the hidden layer and of what it reads
    tokens = batch * shape.context
    whole = 2 * FLOAT * tokens * shape.vocab_size
    return FLOAT * tokens * (kept + outside + work) + min(LOGITS, whole)
