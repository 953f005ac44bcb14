"""Writing: draw a token, feed it back, draw the next.

    for token in generate(model, prompt_ids, max_tokens=100, rng=np.random.default_rng(0)): ...
    for text in stream_text(model, tokenizer, "Once upon a time", max_tokens=100): print(text)

Read next: sampling.py (how a token is drawn), decoder.py (how the model remembers).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import numpy as np

from minigrad.nn import evaluating
from tinygpt.errors import UserError
from tinygpt.inference.decoder import Decoder
from tinygpt.inference.prompt import (
    encode_prompt,
    end_ids,
    marks,
    opening_ids,
    read_sources,
    stop_texts,
)
from tinygpt.inference.sampling import Sampling, sample
from tinygpt.model import EncoderDecoder, LanguageModel
from tinygpt.runs.chat_form import ChatForm
from tinygpt.tokenizer.base import Tokenizer, stream


def generate(
    model: LanguageModel,
    ids: Sequence[int] | np.ndarray,
    *,
    max_tokens: int,
    sampling: Sampling | None = None,
    stop: Collection[int] = (),
    rng: np.random.Generator | None = None,
    decoder: Decoder | None = None,
) -> Iterator[int]:
    """Go on from a prompt, one token at a time.

    ids: (T,) the prompt, T >= 1; of a prompt longer than the context the last tokens are read.
    stop: ids that end the text; they are not yielded.  sampling None is plain sampling.
    rng: None is a generator seeded by 0.
    decoder: one of the model's, with nothing read; None makes one.
    Yields token ids; past the context the older half is forgotten (decoder.py).
    """
    prompt = np.atleast_2d(np.asarray(ids, dtype=np.int64))
    for token in generate_batch(
        model, prompt, max_tokens=max_tokens, sampling=sampling, rng=rng, decoder=decoder
    ):
        if int(token[0]) in stop:
            return
        yield int(token[0])


def generate_batch(
    model: LanguageModel,
    ids: np.ndarray,
    *,
    max_tokens: int,
    sampling: Sampling | None = None,
    rng: np.random.Generator | None = None,
    decoder: Decoder | None = None,
) -> Iterator[np.ndarray]:
    """B texts at once, each weight read once for all: ids (B, T); yields (B,) int64 arrays."""
    if ids.ndim != 2 or ids.shape[1] == 0:
        raise UserError("the prompt is empty. Give at least one token to go on from.")
    sampling = Sampling() if sampling is None else sampling
    rng = np.random.default_rng(0) if rng is None else rng
    decoder = Decoder(model, batch=len(ids)) if decoder is None else decoder
    history = [list(row) for row in ids]
    logits = decoder.feed(ids[:, -decoder.context :])
    for remaining in range(max_tokens, 0, -1):
        drawn = [row[ids.shape[1] :] for row in history]
        token = sample(logits, sampling, rng, history, drawn)
        yield token
        for row, drawn in zip(history, token, strict=True):
            row.append(int(drawn))
        if remaining > 1:
            logits = decoder.step(token)


def stream_text(
    model: LanguageModel,
    tokenizer: Tokenizer,
    prompt: str,
    *,
    max_tokens: int,
    sampling: Sampling | None = None,
    stop: str | Sequence[str] = (),
    rng: np.random.Generator | None = None,
    form: ChatForm | None = None,
    decoder: Decoder | None = None,
) -> Iterator[str]:
    """Go on from a prompt in pieces of text, never half a character.

    An EncoderDecoder reads the prompt, and writes what it becomes.
    stop: texts that end the answer; neither they nor what follows is yielded.
    A special token, such as the end of the text, ends it too; of a model from elsewhere, those of
    its `form`.
    Raises PromptError and TokenizerError at once, before there is anything to iterate over.
    """
    ids = [*opening_ids(tokenizer, form), *encode_prompt(tokenizer, prompt)]
    ends = end_ids(tokenizer, form)
    if isinstance(model, EncoderDecoder):
        with evaluating(model):
            model = read_sources(model, tokenizer, [prompt])
        ids = [marks(tokenizer)[1]]
    tokens = generate(
        model, ids, max_tokens=max_tokens, sampling=sampling, stop=ends, rng=rng, decoder=decoder
    )
    return until_stop(stream(tokenizer, tokens), stop)


def until_stop(pieces: Iterable[str], stop: str | Sequence[str]) -> Iterator[str]:
    """The pieces up to the first occurrence of a stop text, also one split over pieces.

    The end of what has come is held back as long as it may be the beginning of a stop text.
    Raises PromptError for an empty stop text, at once.
    """
    return _until(pieces, stop_texts(stop))


def _until(pieces: Iterable[str], stop: Sequence[str]) -> Iterator[str]:
    held = ""
    for piece in pieces:
        held += piece
        found = [at for at in map(held.find, stop) if at >= 0]
        if found:
            if min(found):
                yield held[: min(found)]
            return
        keep = max((overlap(held, text) for text in stop), default=0)
        if len(held) > keep:
            yield held[: len(held) - keep]
            held = held[len(held) - keep :]
    if held:
        yield held


def overlap(text: str, stop: str) -> int:
    """Length of the longest end of `text` that begins `stop` without being all of it."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
