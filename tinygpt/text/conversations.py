"""Conversations to learn from: who said what, read from the forms that people keep them in.

    {"messages": [{"role": "user", "content": "..."}, ...]}           a line of .jsonl (OpenAI's)
    {"conversations": [{"from": "human", "value": "..."}, ...]}       (ShareGPT's)
    {"instruction": "...", "input": "...", "output": "..."}           (Alpaca's)
    {"prompt": "...", "completion": "..."}  or  {"question": "...", "answer": "..."}
    a .json file with a list of such objects, a .csv or .tsv file whose head line names such columns
    a .txt or .md file, or a folder of them: lines that begin with Q: and A:, an empty line and the
    next Q: beginning another conversation

What is wrong is said with its line. A fault does not hide the next: the first few are all named.

Read next: ../finetuning/rendering.py, which makes ids of them.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tinygpt.storage.paths import expand, kind, shown
from tinygpt.storage.reading import ANYTHING, FormatError, parse_json
from tinygpt.text.files import DataError, NoText
from tinygpt.text.reading import read_text

ROLES = {  # as they are written -> as they are called here
    "user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant",
    "model": "assistant", "bot": "assistant", "chatgpt": "assistant", "system": "system",
    "developer": "system",
}
PAIRS = (("prompt", "completion"), ("question", "answer"), ("instruction", "output"))
FORMS = (
    "Write objects with messages, conversations, instruction and output, prompt and completion, or "
    "question and answer."
)
SUFFIXES = (".jsonl", ".json", ".csv", ".tsv", ".txt", ".md")
NAMED = 5  # faults in one message
SPEAKERS = {  # of a text's lines
    "q": "user", "question": "user", "user": "user", "a": "assistant", "answer": "assistant",
    "assistant": "assistant", "system": "system",
}
SPOKEN = re.compile(rf"({'|'.join(SPEAKERS)}):[ \t]*", re.IGNORECASE)


class Message(NamedTuple):
    """role: "system", "user" or "assistant".  learned: whether an answer is learned from."""

    role: str
    content: str
    learned: bool = True


class Conversation(NamedTuple):
    """Messages, and where they stand, as "line 3 of chat.jsonl"."""

    messages: tuple[Message, ...]
    where: str = ""


def asked(question: str, answer: str, where: str = "") -> Conversation:
    """A question and its answer."""
    return Conversation((Message("user", question), Message("assistant", answer)), where)


def read_conversations(source: str | Path) -> list[Conversation]:
    """All conversations of a file or a folder, in order.

    Raises DataError for another kind of file, for what has none, and for faults in them: the first
    NAMED by their lines.
    """
    path = Path(expand(source))
    there = kind(path)
    if not there:
        raise NoText(f"there is no {shown(path)}. Give a file of conversations, or a folder.")
    files = [path]
    if there == "folder":
        files = sorted(p for p in path.rglob("*") if p.suffix.lower() in (".txt", ".md"))
    found: list[Conversation] = []
    faults: list[str] = []
    for file in files:
        for number, read in _raw(file):
            where = f"line {number} of {shown(file)}"
            try:
                found.append(Conversation(checked(read()), where))
            except FormatError as error:
                faults.append(f"{where} {error}")
    if faults:
        raise DataError(listed(faults))
    if not found:
        raise DataError(
            f"{shown(path)} has no conversations. {FORMS} A text has lines that begin with Q: and "
            "A:."
        )
    return found


def listed(faults: Sequence[str]) -> str:
    """The first NAMED faults as one message."""
    more = f", and {len(faults) - NAMED} more" if len(faults) > NAMED else ""
    named = "; ".join(fault.removesuffix(".") for fault in faults[:NAMED])
    return f"{named}{more}. Correct {'that' if len(faults) == 1 else 'them'}, or leave it out."


def checked(messages: Sequence[Message]) -> tuple[Message, ...]:
    """Messages that can be learned from.  Raises FormatError in words that go after their place."""
    for number, message in enumerate(messages, 1):
        if not message.content.strip():
            what = {"assistant": "an empty answer", "user": "an empty question"}
            raise FormatError(
                f"has {what.get(message.role, 'an empty system text')} (message {number})"
            )
    if not any(m.role == "assistant" and m.learned for m in messages):
        raise FormatError("has no answer to learn from")
    if messages[-1].role != "assistant":
        raise FormatError(f"ends with a message of the {messages[-1].role} that nobody answers")
    if len(messages) == 1:
        raise FormatError("has an answer to nothing")
    return tuple(messages)


Read = Callable[[], list[Message]]


def _raw(file: Path) -> Iterator[tuple[int, Read]]:
    """(line, what reads the messages there) of each conversation in a file."""
    suffix = file.suffix.lower()
    if suffix not in SUFFIXES:
        raise DataError(
            f"{shown(file)} is no file of conversations. Give one that ends in "
            f"{', '.join(SUFFIXES[:-1])} or {SUFFIXES[-1]}, or a folder of texts."
        )
    text = read_text(file)
    if suffix == ".jsonl":
        for number, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield number, partial(_parsed, line)
    elif suffix == ".json":
        yield from _from_list(text, shown(file))
    elif suffix in (".csv", ".tsv"):
        rows = csv.DictReader(
            io.StringIO(text, newline=""), delimiter="\t" if suffix == ".tsv" else ","
        )
        number = 2  # where a row begins: one with line ends in it takes several
        for row in rows:
            yield number, partial(messages_of, row)
            number = rows.line_num + 1
    else:
        yield from _from_text(text)


def _from_list(text: str, name: str) -> Iterator[tuple[int, Read]]:
    """A JSON list, object by object, so that each has its line."""
    decoder, space = json.JSONDecoder(), re.compile(r"[\s,]*")
    at = len(text) - len(text.lstrip())
    if text[at : at + 1] != "[":
        raise DataError(f"{name} is no JSON list. Write [ ... ], or a .jsonl file. {FORMS}")
    at = space.match(text, at + 1).end()  # type: ignore[union-attr]
    while text[at : at + 1] not in ("]", ""):
        number = text.count("\n", 0, at) + 1
        try:
            _, end = decoder.raw_decode(text, at)
        except (ValueError, RecursionError) as error:
            raise DataError(f"line {number} of {name} is not JSON ({error}). Correct it.") from None
        part = text[at:end]
        yield number, partial(_parsed, part)
        at = space.match(text, end).end()  # type: ignore[union-attr]


def _from_text(text: str) -> Iterator[tuple[int, Read]]:
    """Blocks of Q: and A: lines."""
    block: list[Message] = []
    begins, empty = 1, True  # of the block; whether the line before was empty
    for number, line in enumerate(text.split("\n"), 1):
        spoken = SPOKEN.match(line)
        role = SPEAKERS[spoken[1].lower()] if spoken else ""
        if role in ("user", "system") and empty and block and block[-1].role == "assistant":
            yield begins, partial(_trimmed, block)
            block = []
        if spoken:
            begins = begins if block else number
            block = [*block, Message(role, line[spoken.end() :])]
        elif block:
            last = block[-1]
            block = [*block[:-1], last._replace(content=f"{last.content}\n{line}")]
        elif line.strip():
            yield number, _nobody
        empty = not line.strip()
    if block:
        yield begins, partial(_trimmed, block)


def _trimmed(block: list[Message]) -> list[Message]:
    return [message._replace(content=message.content.strip()) for message in block]


def _parsed(text: str) -> list[Message]:
    return messages_of(parse_json(text, {str: ANYTHING}))


def _nobody() -> list[Message]:
    raise FormatError("is said by nobody: begin it with Q: or A:")


def messages_of(values: Mapping[str, Any]) -> list[Message]:
    """The messages of an object in any of the forms.  Raises FormatError."""
    if None in values:
        raise FormatError("has more fields than its head line")
    for name in ("messages", "conversations", "conversation"):
        if name in values:
            return _turns(values[name], name)
    system = [Message("system", _text(values["system"], "system"))] if values.get("system") else []
    for question, answer in PAIRS:
        if question not in values or answer not in values:
            continue
        if isinstance(values[question], list):  # both in messages (TRL's)
            return [*_turns(values[question], question), *_turns(values[answer], answer)]
        said = _text(values[question], question)
        if values.get("input"):
            said += f"\n\n{_text(values['input'], 'input')}"
        return [
            *system, *_history(values.get("history")), Message("user", said),
            Message("assistant", _text(values[answer], answer)),
        ]
    names = ", ".join(map(str, values)) or "nothing"
    raise FormatError(f"holds {names[:80]}, which is no conversation. {FORMS}")


def _history(pairs: Any) -> list[Message]:
    """Alpaca's earlier turns, [[question, answer], ...]: read, and not learned from."""
    found = []
    for pair in pairs or []:
        if not isinstance(pair, list) or len(pair) != 2:
            raise FormatError("has a history that is no list of pairs")
        found.append(Message("user", _text(pair[0], "history")))
        found.append(Message("assistant", _text(pair[1], "history"), learned=False))
    return found


def _turns(values: Any, name: str) -> list[Message]:
    if not isinstance(values, list) or not values:
        raise FormatError(f"has {name} that are no list of messages")
    found = []
    for number, turn in enumerate(values, 1):
        if not isinstance(turn, dict):
            raise FormatError(f"has a message {number} that is no object")
        role = turn.get("role", turn.get("from"))
        if not isinstance(role, str) or role.lower() not in ROLES:
            raise FormatError(
                f"has the role {json.dumps(role)} in message {number}. Known: "
                f"{', '.join(dict.fromkeys(ROLES.values()))}"
            )
        content = _content(turn.get("content", turn.get("value")), number)
        learned = turn.get("weight", 1) not in (0, False)  # OpenAI's, of an answer
        found.append(Message(ROLES[role.lower()], content, learned))
    return found


def _content(value: Any, number: int) -> str:
    """A message's text, also where it is a list of parts that are texts."""
    if isinstance(value, list) and all(
        isinstance(part, dict) and isinstance(part.get("text"), str) for part in value
    ):
        return "".join(part["text"] for part in value)
    return _text(value, f"message {number}")


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise FormatError(f"has {name} that is no text")
    return value
