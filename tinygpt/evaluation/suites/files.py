"""Suites of your own data: choices (formats of questions.py), and prompts with wanted texts.

    questions    {"question": ..., "choices": [...], "answer": 0} and the world's formats
    answers      {"prompt": ..., "answer": "..." or ["...", "..."]} a line, or such columns

Read first: ../records.py, ../questions.py, ../multiple_choice.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from tinygpt.evaluation.contamination import contaminated, note_on
from tinygpt.evaluation.metrics import bleu, chrf, exact_match, f1, rouge_l, rouge_lsum, rouge_n
from tinygpt.evaluation.multiple_choice import DEFAULT, ChoiceSuite, Way
from tinygpt.evaluation.questions import TEMPLATE_OF, Question, read_questions
from tinygpt.evaluation.records import Wrong, records
from tinygpt.evaluation.suites.generated import identity
from tinygpt.evaluation.templates import find_template
from tinygpt.evaluation.written import Metric, Task, WrittenSuite
from tinygpt.storage.paths import expand, shown
from tinygpt.storage.reading import ANYTHING, TEXT, FormatError, check
from tinygpt.text.files import DataError

SCORE_OF = {"TruthfulQA": "sum", "CrowS-Pairs": "sum"}  # as they were published
NOTES = {
    "CrowS-Pairs": "\"right\" is the sentence that repeats the prejudice: half is what is fair",
}


def questions_suite(
    source: str | Path, template: str | None = None, shots: int = 0, seed: int = 0,
    learned: Iterable[str] = (),
) -> ChoiceSuite:
    """learned: the text that the model learned from, in pieces, to look for the questions in.

    Raises DataError and UsageError as read_questions and find_template.
    """
    form, questions = read_questions(source)
    way = Way(find_template(template or TEMPLATE_OF[form]), shots, seed,
              SCORE_OF.get(form, DEFAULT))
    notes = [NOTES[form]] if form in NOTES else []
    texts = {
        one.name: " ".join([one.fields["question"], *(one.choices[i] for i in one.right)])
        for one in questions if isinstance(one, Question)
    }
    notes += filter(None, [note_on(contaminated(texts, learned), len(texts))])
    name = f"{Path(source).stem} ({form})" if form != "own" else Path(source).stem
    return ChoiceSuite(name, questions, way, fingerprint(questions), notes)


def answers_suite(source: str | Path, seed: int = 0, max_tokens: int = 64) -> WrittenSuite:
    """What is written after each prompt, beside what is wanted, by every metric.

    Lines that are no such object are left out with their line.  Raises DataError where none is.
    """
    path, tasks, wrong = Path(expand(source)), [], []
    for number, record in records(path, ("prompt", "answer")):
        name = f"line {number}"
        if isinstance(record, Wrong):
            wrong.append(record.why)
            continue
        try:
            found = check(record, {"prompt": TEXT, "answer": ANYTHING, str: ANYTHING})
            wanted = found["answer"] if isinstance(found["answer"], list) else [found["answer"]]
            if not wanted or not all(isinstance(one, str) and one.strip() for one in wanted):
                raise FormatError("has an answer that is no text")
            if not found["prompt"]:
                raise FormatError("has an empty prompt")
        except FormatError as error:
            wrong.append(f"{name} of {shown(path)} {error}.")
            continue
        lines = any("\n" in one.strip() for one in wanted)  # else the first line is the answer
        tasks.append(Task(name, found["prompt"], tuple(wanted), str(found.get("cluster", name)),
                          max_tokens, () if lines else ("\n",)))
    if not tasks:
        why = wrong[0] if wrong else "it is empty."
        raise DataError(f"{shown(path)} has no prompt with an answer: {why} "
                        'Write {"prompt": "...", "answer": "..."} on each line.')
    notes = [f"{len(wrong)} lines left out; {wrong[0]}"] if wrong else []
    return WrittenSuite(path.stem, tasks, METRICS, identity(tasks), notes, seed=seed)


METRICS: dict[str, Metric] = {  # all between 0 and 1
    "exact match": exact_match, "F1": f1,
    "BLEU": lambda written, wanted: bleu(written, wanted) / 100,
    "chrF": lambda written, wanted: chrf(written, wanted) / 100,
    "chrF++": lambda written, wanted: chrf(written, wanted, words=2) / 100,
    "ROUGE-1": partial(rouge_n, n=1), "ROUGE-2": partial(rouge_n, n=2), "ROUGE-L": rouge_l,
    "ROUGE-Lsum": rouge_lsum,
}


def fingerprint(questions: Sequence[Question | Wrong]) -> str:
    """A hash of all that is asked."""
    found = hashlib.blake2b(digest_size=16)
    for one in questions:
        if isinstance(one, Question):
            found.update(repr((sorted(one.fields.items()), one.choices, one.right)).encode())
    return found.hexdigest()
