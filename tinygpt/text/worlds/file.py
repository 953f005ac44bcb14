"""A world file, read and checked: words, what can happen, what can be asked.

    [words]                                   kinds of words; a table where sentences need forms
    person = ["Ana", "Luis"]
    place = [{ in = "en el mercado", to = "al mercado" }, ...]
    [story]
    cast = { person = 2, place = 3 }          how many of a kind a story is about
    events = [3, 7]                           how much happens in it: least, most
    begin = ["..."], end = ["..."]            sentences of which one is told first, or last
    between = " "                             what stands between sentences
    [[lasting]]                               dealt once, true in every story
    fact = "person lives city"
    say = ["{person} vive en {city}."]
    [[events]]
    say = ["{person} fue {place.to}."]
    unless = ["person is place"]
    then = ["person is place"]
    [[questions]]
    ask = "¿Dónde está {person}?"
    answers = [{ say = "Está {place.in}.", if = ["person is place"] }]

What is true is a set of facts, "SUBJECT RELATION OBJECT". Subject and object are kinds of words,
with a number where there are two of one kind (person, person2); a relation is any word. A subject
has one object of a relation at a time, so what `then` says replaces what was; the object "-" is
nothing, so "thing is -" in `if` asks that it is nowhere, and in `then` takes it away. TOML wants
quotes around a key that has other letters than ASCII's.

Read next: state.py.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tinygpt.errors import UsageError
from tinygpt.storage.paths import shown
from tinygpt.storage.reading import (
    ANYTHING,
    COUNT,
    TEXT,
    FormatError,
    brief,
    check,
    parse_toml,
)
from tinygpt.text.reading import read_text

NOTHING = "-"
KIND = re.compile(r"\w*[^\W\d]")  # does not end in a digit, which would number it
FIELD = re.compile(r"\{(\w*[^\W\d])(\d*)(?:\.(\w+))?\}")
MOST_EVENTS = 100
MOST_WAYS = 20_000  # in which the words of a story fill one sentence: more would take seconds

FORM: dict[str, Any] = {
    "words": {str: [ANYTHING]},
    "story?": {
        "cast?": {str: COUNT}, "events?": (COUNT, COUNT), "begin?": [TEXT], "end?": [TEXT],
        "between?": TEXT,
    },
    "lasting?": [{"fact": TEXT, "say": [TEXT]}],
    "events": [{"say": [TEXT], "if?": [TEXT], "unless?": [TEXT], "then?": [TEXT]}],
    "questions?": [{"ask": TEXT, "answers": [{"say": TEXT, "if": [TEXT]}]}],
}

Word = dict[str, str]  # form -> how it is written; one that has no forms is {"": ...}


class WorldError(UsageError, ValueError):
    """A world file that cannot be told; the message names the key and what to do."""


class Variable(NamedTuple):
    """A word that a sentence leaves open: its kind, and a number where there are two of it."""

    kind: str
    number: str = ""


class Fact(NamedTuple):
    """object: None is nothing."""

    subject: Variable
    relation: str
    object: Variable | None


class Line(NamedTuple):
    """A sentence: texts, and (variable, form) between them."""

    parts: tuple[str | tuple[Variable, str], ...]

    @property
    def variables(self) -> list[Variable]:
        return [part[0] for part in self.parts if not isinstance(part, str)]


class Rule(NamedTuple):
    """Sentences that may be said where `needs` holds and `unless` does not, and what follows.

    variables: what has to be filled to say one.
    """

    say: tuple[Line, ...]
    needs: tuple[Fact, ...]
    unless: tuple[Fact, ...]
    then: tuple[Fact, ...]
    variables: tuple[Variable, ...]


class Question(NamedTuple):
    """ask: leaves open what it is about.  answers: one of them is true, by its `needs`."""

    ask: Line
    answers: tuple[Rule, ...]
    lasting: bool  # needs no story


class World(NamedTuple):
    """A world file."""

    words: dict[str, tuple[Word, ...]]
    cast: dict[str, int]
    happens: tuple[int, int]
    begin: tuple[Line, ...]
    end: tuple[Line, ...]
    between: str
    lasting: tuple[Rule, ...]  # each has one fact in `then`
    events: tuple[Rule, ...]
    questions: tuple[Question, ...]


def read_world(path: str | Path) -> World:
    """The world of a file.

    Raises WorldError that names the key of what is wrong, DataError for what is no text.
    """
    try:
        return _Reader().world(check(parse_toml(read_text(path)), FORM))
    except FormatError as error:
        raise WorldError(
            f"{shown(path)} {error}. Correct it there; tinygpt/text/worlds/file.py shows all keys."
        ) from None


def find_world(given: str) -> World:
    """The world of a file, or of the name of one that ships.

    Raises as `read_world`.
    """
    own = Path(__file__).with_name(f"{given}.toml")
    shipped = given.isidentifier() and own.is_file() and not Path(given).exists()
    return read_world(own if shipped else given)


class _Reader:
    """Each method raises FormatError, "has KEY that ...", for what cannot be."""

    words: dict[str, tuple[Word, ...]]
    cast: dict[str, int]
    fixed: set[tuple[str, str]]  # (kind, relation) of what is lasting

    def world(self, values: dict[str, Any]) -> World:
        _known(values, FORM, "")
        self.words = {kind: self._kind(kind, given) for kind, given in values["words"].items()}
        story = values.get("story", {})
        _known(story, FORM["story?"], "story.")
        self.cast = self._cast(story.get("cast", {}))
        least, most = happens = tuple(story.get("events", (3, 6)))
        if not 1 <= least <= most <= MOST_EVENTS:
            raise _wrong("story.events", f"is [{least}, {most}], not two numbers of 1 to "
                                         f"{MOST_EVENTS} that rise")
        self.fixed = set()
        lasting = tuple(
            self._lasting(f"lasting[{i}]", one) for i, one in enumerate(values.get("lasting", []))
        )
        events = tuple(self._event(f"events[{i}]", one) for i, one in enumerate(values["events"]))
        if not events:
            raise _wrong("events", "is empty: nothing can happen")
        questions = tuple(
            self._question(f"questions[{i}]", one)
            for i, one in enumerate(values.get("questions", []))
        )
        begin, end = (
            tuple(self._line(f"story.{key}[{i}]", one) for i, one in enumerate(story.get(key, [])))
            for key in ("begin", "end")
        )
        return World(self.words, self.cast, happens, begin, end, story.get("between", " "),
                     lasting, events, questions)

    def _kind(self, kind: str, given: Sequence[Any]) -> tuple[Word, ...]:
        key = f"words.{kind}"
        if not KIND.fullmatch(kind):
            raise _wrong(key, "is no name of letters, digits and _ that ends in a letter")
        made: list[Word] = []
        for i, one in enumerate(given):
            word = {"": one} if isinstance(one, str) else one
            if not isinstance(word, dict) or not word:
                raise _wrong(f"{key}[{i}]", f"is {brief(one)}, not a word or a table of its forms")
            for form, text in word.items():
                if not isinstance(text, str) or not text.strip() or re.search(r"[{}\n]", text):
                    raise _wrong(f"{key}[{i}]{form and '.' + form}",
                                 f"is {brief(text)}, not a word on one line without braces")
            if made and set(word) != set(made[0]):
                odd = sorted(set(word) ^ set(made[0]))[0]
                raise _wrong(f"{key}[{i}]", f"differs from the first in the form {brief(odd)}")
            if word in made:
                raise _wrong(f"{key}[{i}]", f"is {brief(next(iter(word.values())))} once more")
            made.append(word)
        if not made:
            raise _wrong(key, "is empty")
        return tuple(made)

    def _cast(self, given: dict[str, int]) -> dict[str, int]:
        for kind, count in given.items():
            self._check_kind(f"story.cast.{kind}", kind)
            if not 1 <= count <= len(self.words[kind]):
                raise _wrong(f"story.cast.{kind}", f"is {count}, not 1 to the "
                                                   f"{len(self.words[kind])} words there are")
        return given

    def _check_kind(self, key: str, kind: str) -> None:
        if kind not in self.words:
            raise _wrong(key, f"names {brief(kind)}, which is no kind of [words]"
                              + _near(kind, self.words))

    def _line(self, key: str, text: str) -> Line:
        parts: list[str | tuple[Variable, str]] = []
        at = 0
        for match in FIELD.finditer(text):
            kind, number, form = match[1], match[2], match[3] or ""
            self._check_kind(key, kind)
            if form not in self.words[kind][0]:
                there = [f"{{{kind}{one and '.' + one}}}" for one in self.words[kind][0]]
                raise _wrong(key, f"asks for {match[0]}, and there are {', '.join(there)}")
            parts += [text[at : match.start()], (Variable(kind, number), form)]
            at = match.end()
        parts.append(text[at:])
        if not text.strip() or any("{" in one or "}" in one for one in parts[::2]):
            raise _wrong(key, f"is {brief(text)}, not a sentence with words as {{kind}} or "
                              "{kind.form}")
        made = Line(tuple(part for part in parts if part))
        self._check_ways(key, set(made.variables))
        return made

    def _check_ways(self, key: str, variables: Iterable[Variable]) -> None:
        ways, left = 1, dict[str, int]()
        for one in variables:
            there = self.cast.get(one.kind, len(self.words[one.kind]))
            left[one.kind] = left.get(one.kind, there) - 1
            if left[one.kind] < 0:
                raise _wrong(key, f"names more of {brief(one.kind)} than the {there} of a story")
            ways *= there
        if ways > MOST_WAYS:
            raise _wrong(key, f"can be said in {ways:,} ways with the words of one story, and "
                              f"{MOST_WAYS:,} are the most; story.cast takes fewer words")

    def _fact(self, key: str, text: str) -> Fact:
        terms = text.split()
        if len(terms) != 3:
            raise _wrong(key, f'is {brief(text)}, not three words, "SUBJECT RELATION OBJECT"')
        subject, last = (self._variable(key, one) for one in (terms[0], terms[2]))
        if subject is None:
            raise _wrong(key, f"is {brief(text)}, which says something of nothing")
        return Fact(subject, terms[1], last)

    def _variable(self, key: str, term: str) -> Variable | None:
        if term == NOTHING:
            return None
        match = re.fullmatch(r"(\w*[^\W\d])(\d*)", term)
        self._check_kind(key, match[1] if match else term)
        return Variable(*match.groups()) if match else None

    def _facts(self, key: str, given: Iterable[str]) -> tuple[Fact, ...]:
        return tuple(self._fact(f"{key}[{i}]", one) for i, one in enumerate(given))

    def _rule(self, key: str, say: Sequence[str], given: dict[str, Any]) -> Rule:
        """A rule whose `say` is given apart, since an answer has one sentence and an event more."""
        if not say:
            raise _wrong(f"{key}.say", "is empty")
        lines = tuple(self._line(f"{key}.say[{i}]", one) for i, one in enumerate(say))
        needs, unless, then = (
            self._facts(f"{key}.{name}", given.get(name, [])) for name in ("if", "unless", "then")
        )
        bound = dict.fromkeys(one for line in lines for one in line.variables)
        bound.update(dict.fromkeys(_of_facts(needs)))
        for name, facts in (("unless", unless), ("then", then)):
            for one in _of_facts(facts):
                if one not in bound:
                    raise _wrong(f"{key}.{name}", f"speaks of {''.join(one)}, and neither say nor "
                                                  "if does")
        self._check_ways(key, bound)
        return Rule(lines, needs, unless, then, tuple(bound))

    def _lasting(self, key: str, given: dict[str, Any]) -> Rule:
        _known(given, FORM["lasting?"][0], f"{key}.")
        made = self._rule(key, given["say"], {"if": [given["fact"]]})
        fact, = made.needs
        if fact.object is None or fact.object.kind == fact.subject.kind:
            raise _wrong(f"{key}.fact", f"is {brief(given['fact'])}, not of two kinds of words")
        for i, line in enumerate(made.say):
            if set(line.variables) != {fact.subject, fact.object}:
                raise _wrong(f"{key}.say[{i}]", "does not name both that the fact is about")
        if (fact.subject.kind, fact.relation) in self.fixed:
            raise _wrong(f"{key}.fact", f"deals {brief(fact.relation)} once more")
        self.fixed.add((fact.subject.kind, fact.relation))
        return made._replace(needs=(), then=(fact,))

    def _event(self, key: str, given: dict[str, Any]) -> Rule:
        _known(given, FORM["events"][0], f"{key}.")
        made = self._rule(key, given["say"], given)
        for i, fact in enumerate(made.then):
            if (fact.subject.kind, fact.relation) in self.fixed:
                lasts = f"changes {brief(fact.relation)}, which is lasting"
                raise _wrong(f"{key}.then[{i}]", lasts)
        return made

    def _question(self, key: str, given: dict[str, Any]) -> Question:
        _known(given, FORM["questions?"][0], f"{key}.")
        ask = self._line(f"{key}.ask", given["ask"])
        answers = []
        for i, one in enumerate(given["answers"]):
            _known(one, FORM["questions?"][0]["answers"][0], f"{key}.answers[{i}].")
            if not one["if"]:
                raise _wrong(f"{key}.answers[{i}].if", "is empty: nothing says when it is true")
            answers.append(self._rule(f"{key}.answers[{i}]", [one["say"]], one))
        if not answers:
            raise _wrong(f"{key}.answers", "is empty")
        if len(answers) == 1 and set(answers[0].say[0].variables) <= set(ask.variables):
            raise _wrong(f"{key}.answers", "says only what was asked, so no answer could be wrong")
        lasting = all(
            (fact.subject.kind, fact.relation) in self.fixed
            for answer in answers for fact in answer.needs
        )
        return Question(ask, tuple(answers), lasting)


def _of_facts(facts: Iterable[Fact]) -> list[Variable]:
    return [one for fact in facts for one in (fact.subject, fact.object) if one is not None]


def _known(given: dict[str, Any], form: Any, where: str) -> None:
    """Refuse a key that is not of the form: a slip would be left out in silence."""
    names = [name.rstrip("?") for name in form]
    for key in given:
        if key not in names:
            near = _near(key, names) or f"; there are {', '.join(names)}"
            raise FormatError(f"has {where}{key}, which is not known{near}")


def _near(given: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(given, list(known), n=1, cutoff=0.5)
    return f" (did you mean {near[0]}?)" if near else ""


def _wrong(key: str, why: str) -> FormatError:
    return FormatError(f"has {key} that {why}")
