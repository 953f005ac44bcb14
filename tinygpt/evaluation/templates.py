"""How a question becomes a text to go on from: templates are data.

    template = TEMPLATES["question"]
    asked(template, question)       [("Question: 2 + 2?\nAnswer:", " 4"), (..., " 5")]

A template is four texts with fields in braces. `ask` makes the context of a question, `answer` each
choice after it, `join` stands between examples and `before` in front of all. `letters` shows the
choices in the context, and the answers are their letters. A file of JSON with these names is a
template too: {"ask": "Q: {question}\nA:", "answer": " {choice}"}.

Scores depend on them more than on many a training run: prompts.py measures by how much.

Read next: questions.py, multiple_choice.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tinygpt.errors import UsageError, UserError
from tinygpt.evaluation.questions import Question
from tinygpt.storage.paths import expand, kind, shown
from tinygpt.storage.reading import TEXT, FormatError, one_of, read_json

FIELD = re.compile(r"\{(\w+)\}")
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Template(NamedTuple):
    """ask, answer, join, before: texts with {fields}.  letters: choices are listed by letter."""

    ask: str
    answer: str = " {choice}"
    join: str = "\n\n"
    before: str = ""
    letters: bool = False


TEMPLATES = {
    "question": Template("Question: {question}\nAnswer:"),
    "short": Template("Q: {question}\nA:", join="\n"),
    "plain": Template("{question}"),
    "sentence": Template("", "{choice}"),
    "letters": Template("{question}\n{choices}\nAnswer:", letters=True),
    "instruction": Template(
        "{question}\n", "{choice}", before="Each question is followed by its answer.\n\n"
    ),
}
FORM = {
    "ask": TEXT, "answer?": TEXT, "join?": TEXT, "before?": TEXT, "letters?": one_of(True, False),
}


def find_template(given: str) -> Template:
    """A template by name, or from a file of JSON.

    Raises UsageError for an unknown name, UserError for a file of another form.
    """
    if given in TEMPLATES:
        return TEMPLATES[given]
    path = Path(expand(given))
    if kind(path) != "file":
        known = ", ".join(TEMPLATES)
        raise UsageError(f"there is no template {given!r}. There are: {known}, or a file of JSON.")
    try:
        return Template(**read_json(path, FORM))
    except (FormatError, TypeError) as error:
        raise UserError(
            f'{shown(path)} is no template: it {error}. Write {{"ask": "Q: {{question}}\\nA:", '
            '"answer": " {choice}"}.'
        ) from None


def asked(template: Template, question: Question) -> list[tuple[str, str]]:
    """(context, answer) of each choice; without examples before it.

    Raises UserError for a field that the question does not fill.
    """
    if question.gap:  # what is asked is how the text goes on after each choice
        before, _, after = question.fields["question"].partition("_")
        return [(f"{before}{choice}", after) for choice in question.choices]
    choices = question.choices
    fields = dict(question.fields)
    if template.letters:
        marked = [f"{LETTERS[i]}. {choice}" for i, choice in enumerate(choices)]
        fields["choices"] = "\n".join(marked)
        choices = tuple(LETTERS[: len(choices)])
    context = filled(template.ask, fields)
    return [
        (context, filled(template.answer, {**fields, "choice": choice})) for choice in choices
    ]


def examples(template: Template, questions: Sequence[Question]) -> str:
    """The text before a question: questions with their right answers."""
    parts = []
    for question in questions:
        context, answer = asked(template, question)[question.right[0]]
        parts.append(f"{context}{answer}{template.join}")
    return template.before + "".join(parts)


def filled(text: str, fields: Mapping[str, str]) -> str:
    """The text with its fields.  Raises UserError for a field that is missing or empty."""

    def field(match: re.Match[str]) -> str:
        name = match.group(1)
        if not fields.get(name):
            state = "empty" if name in fields else f"missing (there are: {', '.join(fields)})"
            raise UserError(f"the template's field {{{name}}} is {state}. Give it or drop it.")
        return fields[name]

    return FIELD.sub(field, text)
