"""What the dial chose, in three lines: the text, the model, the training."""

from __future__ import annotations

from datetime import datetime, timedelta

from tinygpt.planning.dial import Text, Timed
from tinygpt.screens.live import duration


def text_line(text: Text, timed: Timed) -> str:
    """The text and how it is cut."""
    size = f"{text.bytes / 1e6:.1f} MB" if text.bytes >= 1e5 else f"{text.bytes / 1e3:.0f} kB"
    shape, kind = timed.objective.config.model, timed.objective.config.tokenizer.kind
    if kind == "char":
        return f"Text:     {size}, read by its {shape.vocab_size:,} characters."
    learnt, held_out = timed.objective.data_tokens()
    each = text.bytes / max(1, learnt + held_out)
    return (
        f"Text:     {size}, read by {shape.vocab_size:,} pieces of words ({kind}), {each:.1f} "
        "bytes each."
    )


def model_line(timed: Timed, bits: float | None) -> str:
    """The model, and the bits a byte that the laws expect of it (None: they say nothing)."""
    shape = timed.objective.config.model
    dropout = f", dropout {shape.dropout:g}" if shape.dropout else ""
    expected = f"; about {bits:.2f} bits a byte are to be expected" if bits is not None else ""
    return (
        f"Model:    {timed.objective.parameters / 1e6:.2f} million parameters ({shape.n_layers} "
        f"layers, width {shape.d_model}, context {shape.context}){dropout}{expected}."
    )


def training_line(timed: Timed, seconds: float) -> str:
    """Steps, passes over the text, and when all is done.  seconds: from now to the end."""
    recipe = timed.objective.config.training
    one = timed.objective.config.model.context
    tokens = recipe.steps * recipe.batch_size * recipe.accumulation * one
    passes = tokens / max(1, timed.objective.data_tokens()[0])
    end = (datetime.now() + timedelta(seconds=seconds)).strftime("%H:%M:%S")
    return (
        f"Training: {recipe.steps:,} steps of {recipe.batch_size * recipe.accumulation} x {one} "
        f"tokens, {passes:.1f} times the text: done in {duration(seconds)}, at {end}."
    )
