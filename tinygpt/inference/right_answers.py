"""How many questions a model answers to the letter, in one pass over each.

A model that writes its likeliest token every time writes an answer exactly when, reading the answer
itself, each of its tokens is the likeliest where it stands. So nothing need be generated: question
and answer are read at once, many side by side.

Read first: ../text/tasks/closing.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from minigrad.nn import evaluating
from tinygpt.data.batches import padded_rows
from tinygpt.model import LanguageModel
from tinygpt.text.tasks.closing import Question
from tinygpt.tokenizer import END_OF_TEXT, Tokenizer

AT_ONCE = 32  # questions


class Score(NamedTuple):
    """asked: questions.  right: of them, answered to the letter.  guessed: by chance, expected."""

    asked: int
    right: int
    guessed: float


def right_answers(
    model: LanguageModel, tokenizer: Tokenizer, questions: Sequence[Question]
) -> Score:
    """Ask a model that goes on with a text; it reads as much of the end as its context holds.

    Raises UserError for a model that writes no text.
    """
    model.check_writes()
    right = 0
    for start in range(0, len(questions), AT_ONCE):
        right += _right(model, tokenizer, questions[start : start + AT_ONCE])
    return Score(len(questions), right, sum(1 / question.choices for question in questions))


def _right(model: LanguageModel, tokenizer: Tokenizer, questions: Sequence[Question]) -> int:
    end = tokenizer.special_tokens.get(END_OF_TEXT)
    opening = np.array([] if end is None else [end], np.int64)
    rows, answers = [], []
    for question in questions:
        told, answer = (
            np.asarray(tokenizer.encode_array(text), np.int64)
            for text in (question.told, question.answer)
        )
        rows.append(np.concatenate([opening, told, answer])[-model.shape.context - 1 :])
        answers.append(len(answer))
    ids, _ = padded_rows([row[:-1] for row in rows], 0)  # what follows a row is seen by none of it
    with evaluating(model):
        likeliest = model(ids).data.argmax(axis=-1)  # (B, T)
    return sum(
        bool((guess[len(row) - 1 - count : len(row) - 1] == row[-count:]).all())
        for guess, row, count in zip(likeliest, rows, answers, strict=True)
    )
