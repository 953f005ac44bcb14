"""The suite "questions": choices from a file, in the formats of questions.py.

Read first: ../questions.py, ../multiple_choice.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

from tinygpt.evaluation.contamination import contaminated, note_on
from tinygpt.evaluation.multiple_choice import DEFAULT, ChoiceSuite, Way
from tinygpt.evaluation.questions import TEMPLATE_OF, Question, Wrong, read_questions
from tinygpt.evaluation.templates import find_template

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


def fingerprint(questions: Sequence[Question | Wrong]) -> str:
    """A hash of all that is asked."""
    found = hashlib.blake2b(digest_size=16)
    for one in questions:
        if isinstance(one, Question):
            found.update(repr((sorted(one.fields.items()), one.choices, one.right)).encode())
    return found.hexdigest()
