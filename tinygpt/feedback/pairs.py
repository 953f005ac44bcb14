"""Answers to each prompt, drawn from one model or from two: two different ones to be compared, or
one of each model to be rated.

Read next: server.py.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinygpt.errors import UserError
from tinygpt.inference.answers import answers
from tinygpt.inference.sampling import Sampling
from tinygpt.inference.templates import Messages
from tinygpt.model import LanguageModel
from tinygpt.runs.chat_form import ChatForm
from tinygpt.storage.paths import expand, kind, shown
from tinygpt.storage.reading import ANYTHING, FormatError, parse_json
from tinygpt.text.files import DataError, NoText
from tinygpt.text.reading import read_text
from tinygpt.tokenizer import Tokenizer

TRIES = 4  # draws for a prompt whose two answers are alike


class Writer(NamedTuple):
    """Who answers."""

    model: LanguageModel
    tokenizer: Tokenizer
    form: ChatForm


def read_prompts(source: str) -> list[str]:
    """The lines of a text, or "prompt" (or "question") of those of a .jsonl file.

    Raises DataError for a file that is not there, or holds none.
    """
    path = Path(expand(source))
    if kind(path) != "file":
        raise NoText(f"there is no file {shown(path)}. Give one with a prompt on each line.")
    found = []
    for number, line in enumerate(read_text(path).splitlines(), 1):
        if path.suffix.lower() == ".jsonl" and line.strip():
            try:
                values = parse_json(line, {str: ANYTHING})
            except FormatError as error:
                raise DataError(f"line {number} of {shown(path)} {error}. Correct it.") from error
            line = values.get("prompt", values.get("question"))
            if not isinstance(line, str):
                raise DataError(
                    f"line {number} of {shown(path)} has no prompt that is a text. Write lines of "
                    '{"prompt": ...}, or a text with a prompt on each line.'
                )
        if line.strip():
            found.append(line.strip())
    if not found:
        raise DataError(f"{shown(path)} has no prompts. Write one on each line.")
    return found


def draw_pairs(
    writers: Sequence[Writer], prompts: Sequence[str], temperature: float, most: int, seed: int
) -> tuple[list[tuple[str, str, str]], list[str]]:
    """((prompt, a, b) of each prompt, prompts to which all answers were alike).

    writers: one, who answers twice, or two, of whom the first makes a.  most: tokens of an answer.
    """
    rng, sampling = np.random.default_rng(seed), Sampling(temperature=temperature)
    found: dict[int, tuple[str, str, str]] = {}
    left = list(range(len(prompts)))
    for _ in range(TRIES):
        asked: list[Messages] = [[{"role": "user", "content": prompts[i]}] for i in left]
        both = [
            answers(*writer, asked, max_tokens=most, sampling=sampling, rng=rng)
            for writer in (writers[0], writers[-1])
        ]
        for i, a, b in zip(left, *both, strict=True):
            if a.text.strip() and b.text.strip() and a.text != b.text:
                found[i] = (prompts[i], a.text, b.text)
        left = [i for i in left if i not in found]
        if not left:
            break
    if not found:
        raise UserError(
            "all pairs of answers are alike: there is nothing to choose between. Raise "
            "--temperature, or let two models answer with --against."
        )
    return [found[i] for i in sorted(found)], [prompts[i] for i in left]


def draw_single(
    writers: Sequence[Writer], prompts: Sequence[str], temperature: float, most: int, seed: int
) -> list[tuple[str, str]]:
    """(prompt, answer) of each writer to each prompt; an empty answer, and one that another writer
    gave as well, is left out.  As `draw_pairs` otherwise."""
    rng, sampling = np.random.default_rng(seed), Sampling(temperature=temperature)
    asked: list[Messages] = [[{"role": "user", "content": prompt}] for prompt in prompts]
    found: dict[tuple[str, str], None] = {}
    for writer in writers:
        drawn = answers(*writer, asked, max_tokens=most, sampling=sampling, rng=rng)
        both = zip(prompts, drawn, strict=True)
        found.update({(prompt, one.text): None for prompt, one in both if one.text.strip()})
    if not found:
        raise UserError("all answers are empty: there is nothing to rate. Raise --temperature.")
    return list(found)


def as_line(prompt: str, chosen: str, rejected: str, tie: bool) -> str:
    """A pair as a line of .jsonl (../text/preferences.py)."""
    values: dict[str, object] = {"prompt": prompt, "chosen": chosen, "rejected": rejected}
    return json.dumps({**values, **({"tie": True} if tie else {})}, ensure_ascii=False) + "\n"


def as_rated(prompt: str, answer: str, good: bool) -> str:
    """A rated answer as a line of .jsonl (../text/preferences.py)."""
    values = {"prompt": prompt, "completion": answer, "label": good}
    return json.dumps(values, ensure_ascii=False) + "\n"
