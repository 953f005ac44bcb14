"""What people said of answers, read from the forms that it is kept in: of pairs, which they chose.

    {"prompt": "...", "chosen": "...", "rejected": "..."}                  a line of .jsonl
    {"prompt": [messages], "chosen": [messages], "rejected": [messages]}   (TRL's)
    {"chosen": [messages], "rejected": [messages]}                         all of both conversations

Each may say "tie": true where people could not choose, and "margin": 1.5, by how much the chosen
one is better. And of single answers, whether they found them good:

    {"prompt": "...", "completion": "...", "label": true}                  a line of .jsonl
    {"prompt": [messages], "completion": [messages], "label": false}       (TRL's)

`tinygpt feedback` exports the first of each. What is wrong is said with its line; a fault does not
hide the next.

Read first: conversations.py. Read next: ../alignment/preferences.py.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from tinygpt.storage.paths import expand, kind, shown
from tinygpt.storage.reading import ANYTHING, NUMBER, FormatError, check, one_of, parse_json
from tinygpt.text.conversations import Conversation, Message, checked, listed, messages_of
from tinygpt.text.files import DataError, NoText
from tinygpt.text.reading import read_text

FORM = 'Write lines of {"prompt": ..., "chosen": ..., "rejected": ...}'
RATED_FORM = 'Write lines of {"prompt": ..., "completion": ..., "label": true or false}'
Made = TypeVar("Made")


class Pair(NamedTuple):
    """Two conversations that differ in their last answer alone.

    tie: nobody could choose between them.  margin: by how much the chosen one is better.
    """

    chosen: Conversation
    rejected: Conversation
    tie: bool = False
    margin: float = 0.0


class Rated(NamedTuple):
    """A conversation, and whether its last answer is good."""

    answer: Conversation
    good: bool


def read_pairs(source: str | Path) -> list[Pair]:
    """All pairs of a .jsonl file, in order.

    Raises DataError for another kind of file, for one without pairs, and for faults in them: the
    first few by their lines.
    """
    return _read(source, "pairs", FORM, _pair)


def read_ratings(source: str | Path) -> list[Rated]:
    """All rated answers of a .jsonl file, in order.  Raises DataError as `read_pairs`."""
    return _read(source, "rated answers", RATED_FORM, _rated)


def holds_ratings(source: str | Path) -> bool:
    """Whether the first line of a file is a rated answer; not of one that cannot be read."""
    path = Path(expand(source))
    if kind(path) != "file" or path.suffix.lower() != ".jsonl":
        return False
    first = next(filter(str.strip, read_text(path).split("\n")), "")
    try:
        return "completion" in parse_json(first, {str: ANYTHING})
    except FormatError:
        return False


def _read(source: str | Path, what: str, form: str, of: Callable[..., Made]) -> list[Made]:
    path = Path(expand(source))
    if kind(path) != "file" or path.suffix.lower() != ".jsonl":
        there = f"{shown(path)} is no .jsonl file" if kind(path) else f"there is no {shown(path)}"
        raise NoText(f"{there} of {what}. {form}, as `tinygpt feedback --export` does.")
    found, faults = [], []
    for number, line in enumerate(read_text(path).split("\n"), 1):
        if not line.strip():
            continue
        where = f"line {number} of {shown(path)}"
        try:
            found.append(of(parse_json(line, {str: ANYTHING}), where))
        except FormatError as error:
            faults.append(f"{where} {error}")
    if faults:
        raise DataError(listed(faults))
    if not found:
        raise DataError(f"{shown(path)} has no {what}. {form}.")
    return found


def _pair(values: dict[str, Any], where: str) -> Pair:
    """The pair of a line.  Raises FormatError in words that go after its place."""
    missing = [name for name in ("chosen", "rejected") if name not in values]
    if missing:
        rated = "; of rated answers --method kto learns" if "label" in values else ""
        raise FormatError(
            f"has no {' and no '.join(missing)} answer: {FORM[0].lower()}{FORM[1:]}{rated}"
        )
    chosen, rejected = (_conversation(values, name) for name in ("chosen", "rejected"))
    if chosen[:-1] != rejected[:-1]:
        raise FormatError("has answers to two different prompts")
    if chosen == rejected:
        raise FormatError("has two answers with the same text, between which nobody can choose")
    margin = check(values.get("margin", 0.0), NUMBER)
    tie = check(values.get("tie", False), one_of(True, False))
    first, second = (Conversation(_last_learned(one), where) for one in (chosen, rejected))
    return Pair(first, second, tie, float(margin))


def _rated(values: dict[str, Any], where: str) -> Rated:
    """As `_pair`."""
    missing = [name for name in ("completion", "label") if name not in values]
    if missing:
        form = f"{RATED_FORM[0].lower()}{RATED_FORM[1:]}"
        raise FormatError(f"has no {' and no '.join(missing)}: {form}")
    answer = Conversation(_last_learned(_conversation(values, "completion")), where)
    return Rated(answer, check(values["label"], one_of(True, False)))


def _conversation(values: dict[str, Any], name: str) -> tuple[Message, ...]:
    prompt, answer = values.get("prompt"), values[name]
    if isinstance(prompt, str) and isinstance(answer, str):
        return checked(messages_of({"prompt": prompt, "completion": answer}))
    if isinstance(prompt, list) and isinstance(answer, list):
        return checked(messages_of({"messages": [*prompt, *answer]}))
    if prompt is None and isinstance(answer, list):
        return checked(messages_of({"messages": answer}))
    what = name if name == "completion" else f"{name} answer"
    raise FormatError(f"has a prompt and a {what} that are not both texts, or both messages")


def _last_learned(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The last answer alone is what was chosen, or was not."""
    *before, answer = messages
    return (*(m._replace(learned=False) for m in before), answer._replace(learned=True))
