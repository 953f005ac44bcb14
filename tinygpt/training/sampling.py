"""Letting the model write while it learns, without touching the streams that training uses."""

from __future__ import annotations

import numpy as np

from tinygpt.inference.generate import stream_text
from tinygpt.inference.sampling import Sampling
from tinygpt.tokenizer import TokenizerError
from tinygpt.training.session import Session

LENGTH = 120  # tokens
SAMPLING = Sampling(temperature=0.8)


def write_sample(session: Session) -> str:
    """training.sample_prompt and how it goes on; the same step always writes the same."""
    recipe = session.config.training
    rng = np.random.default_rng([recipe.seed, session.state.step])
    tokenizer, prompt = session.run.tokenizer, recipe.sample_prompt
    try:
        tokenizer.encode(prompt)
    except TokenizerError:  # a character that the text does not have: begin as the text does
        prompt = tokenizer.decode(session.dataset.train[:1])
    session.model.eval()
    try:
        written = stream_text(
            session.model, tokenizer, prompt, max_tokens=LENGTH, sampling=SAMPLING, rng=rng
        )
        return prompt + "".join(written)
    finally:
        session.model.train()
