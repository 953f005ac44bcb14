r"""Questions with choices, from files as the world has them.

    ARC          {"question": ..., "choices": {"text": [...], "label": [...]}, "answerKey": "B"}
    HellaSwag    {"activity_label": ..., "ctx_a": ..., "ctx_b": ..., "endings": [...], "label": "3"}
    MMLU         {"question": ..., "subject": ..., "choices": [...], "answer": 2}, or a table
                 without a head line: question,A,B,C,D,C
    TruthfulQA   {"question": ..., "mc1_targets": {"choices": [...], "labels": [1, 0]}, ...}
    Winogrande   {"sentence": "... _ ...", "option1": ..., "option2": ..., "answer": "1"}
    CrowS-Pairs  a table with the columns sent_more, sent_less, bias_type
    WinoBias     pro_stereotyped_type1.txt.dev beside anti_stereotyped_type1.txt.dev: lines as
                 "1 [The developer] argued with the designer because [she] did not like it."
    your own     {"question": ..., "choices": [...], "answer": 0}, "cluster" if questions belong
                 together

as lines of JSON, one JSON list, .csv, .tsv or (with pyarrow) .parquet. What a record is, is seen by
its fields. One that is wrong becomes a Wrong with its line, and the others are asked.

Read next: templates.py.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tinygpt.errors import UserError
from tinygpt.storage.paths import expand, shown
from tinygpt.storage.reading import FormatError, brief, parse_json
from tinygpt.text.files import DataError
from tinygpt.text.reading import read_text

FORMS = "Give lines of JSON, a .csv, .tsv or .parquet file."


class Question(NamedTuple):
    """A question with its choices.

    fields: what a template may name.  right: numbers of the right choices.  cluster: questions of
    one name are alike.  gap: each choice fills the "_" of the text, and the rest of it is what is
    scored.  mass: any of several may be right, and what counts is the share of probability on them.
    """

    name: str
    fields: Mapping[str, str]
    choices: tuple[str, ...]
    right: tuple[int, ...]
    cluster: str
    gap: bool = False
    mass: bool = False


class Wrong(NamedTuple):
    """A record that is no question, and why."""

    name: str
    why: str


class Read(NamedTuple):
    """form: the name of what the first record was; it chooses the template."""

    form: str
    questions: list[Question | Wrong]


def read_questions(source: str | Path) -> Read:
    """All questions of a file, in order.

    Raises DataError for a file that cannot be read or has no question in it.
    """
    path = Path(expand(source))
    found: list[Question | Wrong] = []
    first = ""
    for number, record in _records(path):
        name = f"line {number}"
        if isinstance(record, Wrong):
            found.append(record)
            continue
        form = form_of(record)
        first = first or form
        try:
            found += [checked(one) for one in FORMATS[form](record, name)]
        except (FormatError, KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
            why = str(error) if isinstance(error, FormatError) else f"is no {form} question"
            found.append(Wrong(name, f"{name} of {shown(path)} {why}."))
    if not any(isinstance(one, Question) for one in found):
        why = f": {found[0].why}" if found and isinstance(found[0], Wrong) else ", it is empty."
        raise DataError(f"{shown(path)} has no question that can be asked{why} {FORMS}")
    return Read(first, found)


def checked(question: Question) -> Question:
    """Raises FormatError for one that has no answer or more than one, or a choice twice."""
    choices, right = question.choices, question.right
    if len(choices) < 2:
        count = f"{len(choices)} choice{'s' * (len(choices) != 1)}"
        raise FormatError(f"has {count}, and two are the least")
    if not all(isinstance(one, str) and one.strip() for one in choices):
        raise FormatError("has an empty choice")
    if len(set(choices)) < len(choices):
        twice = next(one for one in choices if choices.count(one) > 1)
        raise FormatError(f"has the choice {brief(twice)} twice")
    if question.mass:
        if not 0 < len(right) < len(choices):
            raise FormatError(f"has {len(right)} right answers of {len(choices)}")
    elif len(right) != 1:
        count = "no right answer" if not right else f"{len(right)} right answers"
        raise FormatError(f"has {count}, and one is what is asked for")
    if not all(0 <= one < len(choices) for one in right):
        raise FormatError(f"names the answer {right[0] + 1} of {len(choices)} choices")
    if question.gap and question.fields["question"].count("_") != 1:
        raise FormatError("has not one _ to be filled")
    return question


def form_of(record: Mapping[str, Any]) -> str:
    """Whose format a record is in, by its fields."""
    for form, fields in (
        ("TruthfulQA", {"mc1_targets"}), ("HellaSwag", {"endings"}), ("CrowS-Pairs", {"sent_more"}),
        ("Winogrande", {"sentence", "option1"}), ("ARC", {"answerKey"}),
        ("MMLU", {"subject", "choices"}), ("MMLU", {"A", "B", "answer"}),
    ):
        if fields <= set(record):
            return form
    return "own"


# One reader a format: a record and its line's name -> its questions.


def _own(record: Mapping[str, Any], name: str) -> list[Question]:
    if "question" not in record or "choices" not in record or "answer" not in record:
        raise FormatError('has no "question", "choices" and "answer"')
    choices = tuple(record["choices"])
    fields = {key: value for key, value in record.items() if isinstance(value, str)}
    return [Question(
        str(record.get("id", name)), fields, choices, _answers(record["answer"], choices),
        str(record.get("cluster", name)),
    )]


def _answers(answer: Any, choices: Sequence[str]) -> tuple[int, ...]:
    """The numbers of what is called right: a number from 0, a letter, or a choice itself."""
    if isinstance(answer, list):
        return tuple(number for one in answer for number in _answers(one, choices))
    if isinstance(answer, int) and not isinstance(answer, bool):
        return (answer,)
    if answer in choices:
        return (choices.index(answer),)
    if isinstance(answer, str) and len(answer) == 1 and "A" <= answer <= "Z":
        return (ord(answer) - ord("A"),)
    raise FormatError(f"names {brief(answer)} as its answer, which is no choice")


def _arc(record: Mapping[str, Any], name: str) -> list[Question]:
    question: Any = record["question"]
    choices: Any = record.get("choices")
    if isinstance(question, dict):  # as it was published: choices inside the question
        question, choices = question["stem"], question["choices"]
    if isinstance(choices, list):
        choices = {key: [one[key] for one in choices] for key in ("text", "label")}
    labels = [str(one) for one in choices["label"]]
    right = tuple(i for i, label in enumerate(labels) if label == str(record["answerKey"]))
    return [Question(
        str(record.get("id", name)), {"question": question}, tuple(choices["text"]), right, name
    )]


def _hellaswag(record: Mapping[str, Any], name: str) -> list[Question]:
    label, then = str(record["label"]), record.get("ctx_b", "")
    before = record["ctx_a"] if "ctx_a" in record else record["ctx"]
    begun = f"{before} {then[:1].upper()}{then[1:].lower()}" if then else before
    topic = f"{record['activity_label']}: " if record.get("activity_label") else ""
    text = _cleaned(f"{topic}{begun}")
    endings = tuple(_cleaned(one) for one in record["endings"])
    right = (int(label),) if label.isdigit() else ()
    return [Question(str(record.get("ind", name)), {"question": text}, endings, right,
                     str(record.get("source_id", name)))]


def _cleaned(text: str) -> str:
    """Without WikiHow's marks, which stand in brackets."""
    text = text.strip().replace(" [title]", ". ")
    return re.sub(r"\[.*?\]", "", text).replace("  ", " ")


def _mmlu(record: Mapping[str, Any], name: str) -> list[Question]:
    choices = record.get("choices") or [record[key] for key in "ABCD" if record.get(key)]
    subject = str(record.get("subject", ""))
    fields = {"question": record["question"].strip(), "subject": subject.replace("_", " ")}
    return [Question(name, fields, tuple(choices), _answers(record["answer"], choices), name)]


def _truthful(record: Mapping[str, Any], name: str) -> list[Question]:
    found = []
    for key, mass in (("mc1_targets", False), ("mc2_targets", True)):
        if key not in record:
            continue
        targets = record[key]
        if "choices" in targets:
            choices, labels = tuple(targets["choices"]), targets["labels"]
        else:  # as it was published: choice -> 0 or 1
            choices, labels = tuple(targets), list(targets.values())
        right = tuple(i for i, label in enumerate(labels) if label)
        part = f"{name}, {key[:3]}"
        found.append(Question(part, {"question": record["question"]}, choices, right, name,
                              mass=mass))
    return found


def _winogrande(record: Mapping[str, Any], name: str) -> list[Question]:
    answer = str(record["answer"])
    right = (int(answer) - 1,) if answer in ("1", "2") else ()
    return [Question(
        str(record.get("qID", name)), {"question": record["sentence"]},
        (record["option1"], record["option2"]), right, name, gap=True,
    )]


def _crows(record: Mapping[str, Any], name: str) -> list[Question]:
    """Two sentences; "right" is the one that repeats the prejudice, so that half is fair."""
    fields = {"question": "", "bias": str(record.get("bias_type", ""))}
    return [Question(name, fields, (record["sent_more"], record["sent_less"]), (0,), name)]


FORMATS: dict[str, Callable[[Mapping[str, Any], str], list[Question]]] = {
    "own": _own, "ARC": _arc, "HellaSwag": _hellaswag, "MMLU": _mmlu, "TruthfulQA": _truthful,
    "Winogrande": _winogrande, "CrowS-Pairs": _crows,
}
TEMPLATE_OF = {
    "own": "question", "ARC": "question", "HellaSwag": "plain", "MMLU": "letters",
    "TruthfulQA": "question", "Winogrande": "plain", "CrowS-Pairs": "sentence",
}


# Files to records.


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any] | Wrong]]:
    """(line, record) of a file.  Raises DataError for another kind of file."""
    ending = path.suffix.lower()
    if path.name.startswith("pro_stereotyped"):
        yield from _winobias(path)
    elif ending == ".parquet":
        yield from enumerate(_parquet(path), 1)
    elif ending in (".csv", ".tsv"):
        yield from _table(path, "\t" if ending == ".tsv" else ",")
    elif ending in (".jsonl", ".json", ".ndjson"):
        yield from _json(path)
    else:
        raise DataError(f"{shown(path)} is no file of questions. {FORMS}")


def _json(path: Path) -> Iterator[tuple[int, dict[str, Any] | Wrong]]:
    text = read_text(path)
    if text.lstrip().startswith("["):
        try:
            yield from enumerate(parse_json(text), 1)
        except FormatError as error:
            raise DataError(f"{shown(path)} {error}. {FORMS}") from None
        return
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = parse_json(line)
            if not isinstance(record, dict):
                raise FormatError(f"is {brief(record)}, not an object")
            yield number, record
        except FormatError as error:
            why = "ends in mid-line" if number == len(lines) else str(error)
            yield number, Wrong(f"line {number}", f"line {number} of {shown(path)} {why}.")


def _table(path: Path, delimiter: str) -> Iterator[tuple[int, dict[str, Any] | Wrong]]:
    rows = csv.reader(io.StringIO(read_text(path), newline=""), delimiter=delimiter)
    head: list[str] | None = None
    for row in rows:
        if head is None:
            known = {"question", "sentence", "sent_more"} & set(row)
            # MMLU's tables have no head line: a question, four choices, a letter.
            head = row if known else ["question", *"ABCD", "answer"]
            if known:
                continue
        if len(row) != len(head):
            why = f"line {rows.line_num} of {shown(path)} has {len(row)} cells, not {len(head)}."
            yield rows.line_num, Wrong(f"line {rows.line_num}", why)
        else:
            yield rows.line_num, dict(zip(head, row, strict=True))


def _winobias(path: Path) -> Iterator[tuple[int, dict[str, Any] | Wrong]]:
    """Sentences of two files, line by line: the stereotyped one and its counterpart."""
    other = path.with_name(path.name.replace("pro_", "anti_", 1))
    pro, anti = (read_text(one).splitlines() for one in (path, other))
    if len(pro) != len(anti):
        raise DataError(f"{shown(path)} has {len(pro)} lines and {shown(other)} {len(anti)}: they "
                        "are not of one set. Give two that belong together.")
    for number, pair in enumerate(zip(pro, anti, strict=True), 1):
        more, less = (re.sub(r"[\[\]]", "", line).partition(" ")[2].strip() for line in pair)
        if more == less or not more or not less:
            yield number, Wrong(f"line {number}", f"line {number} of {shown(path)} is no pair.")
        else:
            yield number, {"sent_more": more, "sent_less": less, "bias_type": "gender"}


def _parquet(path: Path) -> list[dict[str, Any]]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise UserError(
            f"{shown(path)} is a Parquet file, which pyarrow reads (48 MB). Install it with "
            "`pip install pyarrow`, or save it as lines of JSON."
        ) from None
    try:
        return parquet.read_table(path).to_pylist()
    except (ArrowException, OSError) as error:
        raise DataError(f"{shown(path)} cannot be read as Parquet: {error}. {FORMS}") from None
