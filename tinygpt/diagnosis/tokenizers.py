"""Two tokenizers on one text, by what counts: how well a model that reads their tokens predicts it.

A loss in nats per token cannot be compared between vocabularies, since their tokens are not the
same. Bits per byte can: the bits of all held-out tokens, over the bytes that they stand for. Each
tokenizer gets the same small model (but for the rows of its table), the same number of steps on as
many tokens, and the same seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tinygpt.config import TrainingConfig
from tinygpt.data import BatchLoader
from tinygpt.data.batches import check_length
from tinygpt.inference.scoring import mean_loss
from tinygpt.model import ModelShape, build
from tinygpt.tokenizer import Tokenizer
from tinygpt.training.loop import train
from tinygpt.training.optimizer import make_optimizer
from tinygpt.training.schedule import schedule_of
from tinygpt.training.state import TrainState

SHAPE = ModelShape(n_layers=2, n_heads=4, d_model=64, context=64)
BATCH = 16  # windows of 64 tokens
HELD_OUT = 0.1  # of the text, its end


def bits_per_byte(
    tokenizer: Tokenizer, text: str, steps: int, say: Callable[[int], object] | None = None
) -> float:
    """Bits per byte on the last tenth of a text after `steps` steps on the rest.

    say: hears the number of each step.  Raises DataError for too little text.
    """
    cut = int(len(text) * (1 - HELD_OUT))
    learned, held_out = (
        tokenizer.encode_array(part, disallowed_special=()) for part in (text[:cut], text[cut:])
    )
    shape = replace(SHAPE, vocab_size=tokenizer.vocab_size)
    check_length(learned, shape.context)
    recipe = TrainingConfig(steps=steps, batch_size=BATCH, warmup_steps=min(100, steps // 10))
    rng = np.random.default_rng(recipe.seed)
    model = build(shape, rng)
    batches = BatchLoader(learned, recipe.batch_size, shape.context, rng)
    steps_made = train(
        model, batches, lambda model, batch: (model.loss(batch.ids, batch.targets), {}),
        make_optimizer(model, recipe), schedule_of(recipe), TrainState(), steps=steps,
        clip=recipe.clip,
    )
    for metrics in steps_made:
        if say:
            say(metrics.step)
    nats = mean_loss(model, held_out) * (len(held_out) - 1)
    return nats / math.log(2) / len(text[cut:].encode("utf-8", "surrogateescape"))
