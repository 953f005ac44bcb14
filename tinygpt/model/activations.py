"""What a training pass keeps in memory for its backward pass, counted op by op.

Read next: ../planning/plan.py, which corrects the count by a trial.
"""

from __future__ import annotations

from tinygpt.model.shape import ModelShape

FLOAT = 4  # bytes
LOGITS = 2 * 8 << 20  # bytes of a chunk of logits and of its gradient (linear_cross_entropy)


def activation_bytes(shape: ModelShape, batch: int, recompute: bool = False) -> int:
    """Bytes alive when backward begins, and backward's own largest work buffers.

    Floats a token in one block: two norms keep their input (2 C; their output is made again),
    attention its packed projection, output and one number a head (4 C + H), the MLP its hidden
    layer before the activation (4 C).  Recomputing keeps two C a block, and one block's in full
    while it is done.
    """
    c, heads, layers = shape.d_model, shape.n_heads, shape.n_layers
    block = 10 * c + heads
    kept = 2 * c * layers + block if recompute else block * layers
    outside = 2 * c  # last norm, the stream's gradient
    work = 6 * c  # a norm made again, gradients of the MLP's hidden layer and of what it reads
    tokens = batch * shape.context
    logits = min(LOGITS, 2 * FLOAT * tokens * shape.vocab_size)
    return FLOAT * tokens * (kept + outside + work) + logits
