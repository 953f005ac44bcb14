r"""Questions with choices, from files as the world has them.

    ARC          {"question": ..., "choices": {"text": [...], "label": [...]}, "answerKey": "B"}
    HellaSwag    {"activity_label": ..., "ctx_a": ..., "ctx_b": ..., "endings": [...], "label": "3"}
    MMLU         {"question": ..., "subject": ..., "choices": [...], "answer": 2}, or a table
                 without a head line: question,A,B,C,D,C
    TruthfulQA   {"question": ..., "mc1_targets": {"choices": [...], "labels": [1, 0]}, ...}, or its
                 table with the columns Question, Best Answer, Correct Answers, Incorrect Answers
    Winogrande   {"sentence": "... _ ...", "option1": ..., "option2": ..., "answer": "1"}
    CrowS-Pairs  a table with the columns sent_more, sent_less, bias_type
    WinoBias     pro_stereotyped_type1.txt.dev beside anti_stereotyped_type1.txt.dev: lines as
                 "1 [The developer] argued with the designer because [she] did not like it."
    your own     {"question": ..., "choices": [...], "answer": 0}, "cluster" if questions belong
                 together

as lines of JSON, one JSON list, .csv, .tsv or (with pyarrow) .parquet. What a record is, is seen by
its fields. One that is wrong becomes a Wrong with its line, and the others are asked.

Read first: records.py. Read next: templates.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tinygpt.evaluation.records import FORMS, Wrong, records
from tinygpt.storage.paths import expand, shown
from tinygpt.storage.reading import FormatError, brief, parse_json
from tinygpt.text.files import DataError

HEADS = ("question", "Question", "sentence", "sent_more")  # of a table's columns


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
    for number, record in records(path, HEADS):
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
        ("TruthfulQA", {"mc1_targets"}), ("TruthfulQA", {"Correct Answers", "Incorrect Answers"}),
        ("HellaSwag", {"endings"}), ("CrowS-Pairs", {"sent_more"}),
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
    choices = record["choices"]
    if isinstance(choices, str):  # a table's cell
        choices = parse_json(choices)
    if not isinstance(choices, list):
        raise FormatError(f"has {brief(choices)} as its choices, not a list")
    choices = tuple(choices)
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
    if "Correct Answers" in record:
        record = _truthful_row(record)
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


def _truthful_row(record: Mapping[str, Any]) -> dict[str, Any]:
    """A row of TruthfulQA's table, whose answers are parted by semicolons."""
    true, false = (
        dict.fromkeys(part for one in record[name].split(";") if (part := one.strip()))
        for name in ("Correct Answers", "Incorrect Answers")
    )
    wrong = dict.fromkeys(false, 0)
    return {"question": record["Question"].strip(),
            "mc1_targets": {record["Best Answer"].strip(): 1, **wrong},
            "mc2_targets": {**dict.fromkeys(true, 1), **wrong}}


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
