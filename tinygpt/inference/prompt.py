"""What a model is given to go on from, and the texts that end its answer.

Read next: generate.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinygpt.data.batches import padded_rows
from tinygpt.errors import UserError
from tinygpt.model import EncoderDecoder, Reading
from tinygpt.runs.chat_form import ChatForm
from tinygpt.tokenizer import END_OF_TEXT, Tokenizer, TokenizerError


class PromptError(UserError, ValueError):
    """A prompt or a stop text that cannot do what it was given for."""

    exit_code = 2


def encode_prompt(tokenizer: Tokenizer, prompt: str) -> list[int]:
    """The ids of a prompt; names of special tokens in it are ordinary characters, as in training.

    Raises PromptError for an empty one, TokenizerError for a character that the model never saw.
    """
    if not prompt:
        raise PromptError("the prompt is empty. Give at least one character to go on from.")
    return tokenizer.encode(prompt, disallowed_special=())


def opening_ids(tokenizer: Tokenizer, form: ChatForm | None) -> list[int]:
    """The ids that stand before every text of a model from elsewhere."""
    return [tokenizer.special_id(form.bos)] if form is not None and form.opens and form.bos else []


def end_ids(tokenizer: Tokenizer, form: ChatForm | None) -> set[int]:
    """The ids that end what a model writes: every special one of ours, or those its form names."""
    known = tokenizer.special_tokens
    if form is None:
        return set(known.values())
    return {known[name] for name in form.ends if name in known}


def marks(tokenizer: Tokenizer) -> tuple[int, int]:
    """The ids that end a source or a target, and that stand before a target: ours, or T5's."""
    if END_OF_TEXT not in tokenizer.special_tokens and "</s>" in tokenizer.special_tokens:
        return tokenizer.special_id("</s>"), tokenizer.special_id("<pad>")
    return tokenizer.special_id(END_OF_TEXT), tokenizer.special_id(END_OF_TEXT)


def ids_of(tokenizer: Tokenizer, text: str) -> np.ndarray:
    """A source or a target as ids (T,) int64, the end of a text behind it.

    Errors as encode_prompt.
    """
    return np.array([*encode_prompt(tokenizer, text), marks(tokenizer)[0]], np.int64)


def read_sources(model: EncoderDecoder, tokenizer: Tokenizer, texts: Sequence[str]) -> Reading:
    """The language model of what is written about these texts, from END_OF_TEXT to END_OF_TEXT.

    Raises PromptError for one that does not fit the context, and errors as encode_prompt.
    """
    rows = [ids_of(tokenizer, text) for text in texts]
    longest = max(map(len, rows))
    if longest > model.shape.context:
        raise PromptError(
            f"the text is {longest} tokens long with its end, the model's context "
            f"{model.shape.context}. Shorten it."
        )
    return model.read(*padded_rows(rows, 0))


def opening(tokenizer: Tokenizer) -> str:
    """A prompt for whoever gives none: a line end, else a space, else the first known text.

    A character model of a single line has never seen a line end.
    """
    return next(text for text in ("\n", " ", tokenizer.decode([0])) if knows(tokenizer, text))


def knows(tokenizer: Tokenizer, text: str) -> bool:
    """Whether a text has ids."""
    try:
        tokenizer.encode(text, disallowed_special=())
    except TokenizerError:
        return False
    return True


def stop_texts(stop: str | Sequence[str]) -> tuple[str, ...]:
    """The texts that end an answer, one or several.  Raises PromptError for an empty one."""
    texts = (stop,) if isinstance(stop, str) else tuple(stop)
    if "" in texts:
        raise PromptError(
            "the stop text '' stands before every answer, which would always be empty. Give the "
            "text that should end it, or none."
        )
    return texts
