"""The one place where a model is made.

    model = build(shape, np.random.default_rng(0))       new weights
    model = build(shape, None)                           zeros, for weights that will be loaded
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tinygpt.model.encoder import Encoder
from tinygpt.model.encoder_decoder import EncoderDecoder
from tinygpt.model.gpt import GPT
from tinygpt.model.language_model import LanguageModel
from tinygpt.model.shape import ModelShape

Adapter = Callable[[LanguageModel], object]


def build(
    shape: ModelShape, rng: np.random.Generator | None, adapters: Sequence[Adapter] = ()
) -> LanguageModel:
    """A model of a shape.

    rng: draws the initial weights and, while training, dropout.  None: zeros that take no memory
        until they are written, and no dropout.
    adapters: surgery on the finished model (minigrad.nn.replace_modules), applied in order.
    """
    kinds = {"decoder": GPT, "encoder": Encoder, "encoder-decoder": EncoderDecoder}
    model: LanguageModel = kinds[shape.assembly](shape, rng)
    for adapt in adapters:
        adapt(model)
    return model
