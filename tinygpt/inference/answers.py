"""Many questions at once: what a model answers, and whether it ends its answers by itself.

    for answer in answers(model, tokenizer, form, [[{"role": "user", "content": "1 + 1"}]]):
        print(answer.text, answer.ended)

Questions of equally many tokens are read together, and each weight is read once for all of them.

Read first: templates.py, generate.py.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tinygpt.errors import UserError
from tinygpt.inference.generate import generate_batch
from tinygpt.inference.prompt import end_ids
from tinygpt.inference.sampling import GREEDY, Sampling
from tinygpt.inference.templates import Messages, prompt_ids
from tinygpt.model import LanguageModel
from tinygpt.runs.chat_form import ChatForm
from tinygpt.tokenizer import Tokenizer

AT_ONCE = 64  # questions


class Answer(NamedTuple):
    """ended: the model ended it, and was not cut off."""

    text: str
    ended: bool


def answers(
    model: LanguageModel,
    tokenizer: Tokenizer,
    form: ChatForm,
    questions: Sequence[Messages],
    *,
    max_tokens: int = 200,
    sampling: Sampling = GREEDY,
    rng: np.random.Generator | None = None,
) -> list[Answer]:
    """The answer to each conversation that ends with a question, in their order.

    max_tokens: of an answer; none goes beyond the model's context.
    Raises UserError for a question that fills the context, and as prompt_ids.
    """
    context, by_length = model.shape.context, defaultdict[int, list[int]](list)
    prompts = [prompt_ids(form, tokenizer, question) for question in questions]
    for number, prompt in enumerate(prompts):
        if len(prompt) >= context:
            raise UserError(
                f"question {number + 1} is {len(prompt)} tokens long, the model's context "
                f"{context}. Shorten it."
            )
        by_length[len(prompt)].append(number)
    found = [Answer("", False)] * len(prompts)
    for length, numbers in sorted(by_length.items()):
        for at in range(0, len(numbers), AT_ONCE):
            chosen = numbers[at : at + AT_ONCE]
            drawn = _batch(
                model, np.array([prompts[i] for i in chosen]), end_ids(tokenizer, form),
                min(max_tokens, context - length), sampling, rng,
            )
            for number, (ids, ended) in zip(chosen, drawn, strict=True):
                found[number] = Answer(tokenizer.decode(ids), ended)
    return found


def _batch(
    model: LanguageModel, prompts: np.ndarray, ends: set[int], max_tokens: int,
    sampling: Sampling, rng: np.random.Generator | None,
) -> list[tuple[np.ndarray, bool]]:
    """(ids before the first end, whether there is one) of each row."""
    columns, ended = [], np.zeros(len(prompts), bool)
    stops = sorted(ends)
    for column in generate_batch(
        model, prompts, max_tokens=max_tokens, sampling=sampling, rng=rng
    ):
        columns.append(column)
        ended |= np.isin(column, stops)
        if ended.all():
            break
    rows = np.stack(columns, axis=1)
    found = []
    for row, over in zip(rows, ended, strict=True):
        first = int(np.isin(row, stops).argmax()) if over else len(row)
        found.append((row[:first], bool(over)))
    return found
