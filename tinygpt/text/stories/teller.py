"""The teller: turns what happens in the world into English, one sentence at a time.

A plot calls `go`, `take`, `give`, ...; each changes the world and adds a verb phrase. The teller
joins phrases with the same subject ("Lily went to the garden, picked up the kite and ran home"),
says "she" or "it" where that is not ambiguous, a name where it would be, and answers questions
from the state of the world, so that what the text says is true.

Read next: scenes.py, then plots/.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from . import words
from .world import Person, Spot, Thing, World

T = TypeVar("T")

GO = (
    "went to {p}", "walked to {p}", "ran to {p}", "hurried to {p}", "went off to {p}",
    "went straight to {p}",
)  # fmt: skip
TAKE = ("picked up {t.the}", "took {t}", "picked {t} up")
GIVE = ("gave {t} to {B}", "handed {t} to {B}", "gave {B} {t.the}")
THEN = ("Then ", "Soon ", "After that, ", "A little later, ", "Next, ")
FINDS = (
    "There, {w}, {t.was} {t.the}!", "And there {t.was} {t.the}, {w}!",
    "{A} looked {w}, and there {t.was} {t.the}!", "{A} found {t.the} {w}.",
    "At last {A} saw {t.the} {w}.",
)  # fmt: skip


class Dice:
    """Fast small choices from one numpy Generator, drawn 4096 at a time."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._pool: list[float] = []

    def random(self) -> float:
        """A float in [0, 1)."""
        if not self._pool:
            self._pool = self._rng.random(4096).tolist()
        return self._pool.pop()

    def chance(self, p: float) -> bool:
        """True with probability p."""
        return self.random() < p

    def pick(self, options: Sequence[T]) -> T:
        """One of the options, all with the same chance."""
        return options[int(self.random() * len(options))]

    def several(self, options: Sequence[T], count: int) -> list[T]:
        """`count` different ones, in random order."""
        rest = list(options)
        return [rest.pop(int(self.random() * len(rest))) for _ in range(count)]


class PersonWords:
    """What a template can say of a person: `{A}` as chosen, `{A.name}`, `{A.he}`, `{A.his}`."""

    __slots__ = ("shown", "name", "he", "him", "his", "kind")

    def __init__(self, person: Person, shown: str) -> None:
        self.shown, self.name, self.kind = shown, person.name, person.kind
        self.he, self.him, self.his = person.pronouns

    def __format__(self, spec: str) -> str:
        return self.shown


class ThingWords:
    """What a template can say of a thing; `{t}` is "it" or "the ball", `{t.a}` "a red ball"."""

    __slots__ = ("shown", "noun", "name", "the", "a", "it", "It", "them", "was", "is_")

    def __init__(self, thing: Thing, shown: str, the: str) -> None:
        self.shown, self.the, self.noun, self.name = shown, the, thing.noun, thing.name
        article = "some" if thing.plural else "an" if thing.look[0] in "aeiou" else "a"
        self.a = f"{article} {thing.name}"
        self.it, self.them = ("they", "them") if thing.plural else ("it", "it")
        self.was, self.is_ = ("were", "are") if thing.plural else ("was", "is")
        self.It = self.it.capitalize()

    def __format__(self, spec: str) -> str:
        return self.shown


class Teller:
    """One story: a world, the dice, the two it is about, and the paragraphs told so far."""

    hero: Person
    friend: Person

    def __init__(self, world: World, setting: str, dice: Dice) -> None:
        self.world, self.setting, self.dice = world, setting, dice
        self.paragraphs: list[list[str]] = [[]]
        self._phrases: list[str] = []  # verb phrases waiting for a full stop, all of _subject
        self._subject: Person | None = None
        self._focus: Person | None = None  # the subject of the last sentence
        self._recent: set[Person] = set()  # who was mentioned in it
        self._last_thing: Thing | None = None
        self._speaker: Person | None = None  # of the last sentence, when it is direct speech

    # -- sentences ---------------------------------------------------------------------------

    def say(self, templates: str | Sequence[str], /, **refs: Any) -> None:
        """Add a sentence, one of `templates`. A Person under `A` is its subject."""
        self.flush()
        text = self._fill(self._one(templates), refs)
        first = 1 if text[0] == '"' else 0
        self.paragraphs[-1].append(text[:first] + text[first].upper() + text[first + 1 :])

    def act(self, A: Person, phrases: str | Sequence[str], /, **refs: Any) -> None:
        """Add a verb phrase of A, joined to A's previous ones or in a sentence of its own."""
        phrase = self._one(phrases)
        joins = (
            self._subject is A
            and 0 < len(self._phrases) < 3
            and self.dice.chance(0.65 if len(self._phrases) == 1 else 0.4)
        )
        if not joins:
            self.flush()
            before = self.paragraphs[-1]
            fresh = bool(before) and not before[-1].startswith(THEN)
            opening = self.dice.pick(THEN) if fresh and self.dice.chance(0.22) else ""
            phrase = opening + "{A} " + phrase
        filled = self._fill(phrase, {"A": A, **refs}, inside=joins)
        self._subject = A
        self._phrases.append(filled)

    def flush(self) -> None:
        """End the sentence under construction."""
        if self._phrases:
            *head, last = self._phrases
            text = f"{', '.join(head)} and {last}." if head else f"{last}."
            self.paragraphs[-1].append(text[0].upper() + text[1:])
            self._phrases = []
        self._subject = None

    def paragraph(self) -> None:
        """Start a new paragraph; people are named again in it."""
        self.flush()
        if self.paragraphs[-1]:
            self.paragraphs.append([])
        self._focus, self._last_thing = None, None
        self._recent = set()

    def text(self) -> str:
        """The story so far: a line for each paragraph."""
        self.flush()
        return "\n".join(" ".join(sentences) for sentences in self.paragraphs if sentences)

    def _one(self, options: str | Sequence[str]) -> str:
        return options if isinstance(options, str) else self.dice.pick(options)

    def _fill(self, template: str, refs: dict[str, Any], inside: bool = False) -> str:
        people = {value for value in refs.values() if isinstance(value, Person)}
        self._speaker = None
        fields: dict[str, Any] = {}
        things: list[Thing] = []
        for key, value in refs.items():
            if isinstance(value, Person):
                fields[key] = PersonWords(value, self._mention(key, value, people))
            elif isinstance(value, Thing):
                fields[key] = self._thing_words(value, alone=not things)
                things.append(value)
            else:
                fields[key] = value
        self._recent = (self._recent | people) if inside else people
        self._focus = refs.get("A")
        if things:
            self._last_thing = things[-1]
        elif (
            " the " in template or " a " in template
        ):  # something else has been named: "it" is open
            self._last_thing = None
        return template.format(**fields)

    def _mention(self, key: str, person: Person, people: set[Person]) -> str:
        """A name, or a pronoun where only one person around could be meant."""
        known = self._focus is person if key == "A" else person in self._recent
        around = self._recent | people
        alone = all(other is person or other.she != person.she for other in around)
        if known and alone and self.dice.chance(0.7):
            return person.pronouns[0 if key == "A" else 1]
        return person.name

    def _thing_words(self, thing: Thing, alone: bool) -> ThingWords:
        the = f"the {thing.name}" if self.dice.chance(0.3) else f"the {thing.noun}"
        short = alone and self._last_thing is thing and self.dice.chance(0.7)
        return ThingWords(thing, ("them" if thing.plural else "it") if short else the, the)

    # -- actions: the world changes and the text says so ---------------------------------------

    def go(self, A: Person, place: Any, how: Sequence[str] = GO) -> None:
        """A goes to the place, if not there already; each of `how` names it as {p}."""
        if A.place is not place:
            self.world.go(A, place)
            self.act(A, how, p=place.name)

    def go_together(self, A: Person, B: Person, place: Any) -> None:
        """Both move, if either has to."""
        movers = [person for person in (A, B) if person.place is not place]
        if len(movers) == 1:
            self.go(movers[0], place)
        elif movers:
            self.world.go(A, place)
            self.world.go(B, place)
            verb = self.dice.pick(("went", "walked", "ran", "hurried"))
            who = self.dice.pick(("They {v} to {p} together.", "{A.name} and {B.name} {v} to {p}."))
            self.say(who, A=A, B=B, v=verb, p=place.name)
            self._focus = None

    def take(self, A: Person, t: Thing, phrases: Sequence[str] = TAKE) -> None:
        self.world.take(A, t)
        self.act(A, phrases, t=t)

    def put(self, A: Person, t: Thing, where: Spot | Thing) -> None:
        """A lays what is in hand at a spot, or into a box."""
        self.world.put(A, t, where)
        if isinstance(where, Thing):
            self.act(A, "put {t} in {box.the}", t=t, box=where)
        else:
            verb = "hid" if where.prep in ("behind", "under") and self.dice.chance(0.3) else "put"
            self.act(A, verb + " {t} {w}", t=t, w=str(where))
        self._last_thing = t

    def give(self, A: Person, B: Person, t: Thing) -> None:
        self.world.give(A, B, t)
        self.act(A, self.dice.pick(GIVE[:2] if self._last_thing is t else GIVE), B=B, t=t)

    def open(self, A: Person, box: Thing) -> None:
        self.world.open(A, box)
        self.act(A, ("opened {t}", "slowly opened {t}"), t=box)

    def close(self, A: Person, box: Thing) -> None:
        self.world.close(A, box)
        self.act(A, ("closed {t}", "shut {t}"), t=box)

    def eat(self, A: Person, t: Thing) -> None:
        self.world.eat(A, t)
        self.act(A, ("ate {t}", "ate {t} up", "happily ate {t}"), t=t)
        self._last_thing = None

    def damage(self, A: Person, t: Thing, how: str) -> None:
        """`how` is the whole sentence, of {A} and {t}."""
        self.world.damage(A, t)
        self.say(how, A=A, t=t)

    def mend(self, A: Person, t: Thing, phrase: str = "mended {t}") -> None:
        self.world.mend(A, t)
        self.act(A, phrase, t=t)

    # -- talk ----------------------------------------------------------------------------------

    def speak(
        self, A: Person, lines: str | Sequence[str], B: Person | None = None, /, **refs: Any
    ) -> None:
        """Direct speech to B. A line ends with its own full stop, question or exclamation mark."""
        line = self._one(lines)
        speaker = None if self._phrases else self._speaker
        self.flush()
        end = line[-1]
        verb = {"?": "asked", "!": self.dice.pick(("cried", "shouted", "said", "called"))}.get(
            end, "said"
        )
        form = self.dice.random()
        quoted = f'"{line[:-1]}{"," if end == "." else end}"'
        if speaker is A and self.paragraphs[-1]:  # A goes on: '"I do not know," said Tom.'
            if self.paragraphs[-1][-1].endswith(f" {A.name}."):
                self.say(f'"{line}"', A=A, **refs)
            else:
                self.say(f"{quoted} {{A.he}} {verb}.", A=A, **refs)
        elif form < 0.55:
            self.say(f"{quoted} {verb} {{A.name}}.", A=A, **refs)
        elif form < 0.8 or B is None:
            self.say(f'{{A}} {verb}, "{line}"', A=A, **refs)
        else:
            to = "asked {B}" if end == "?" else "said to {B}"
            self.say(f'{{A}} {to}, "{line}"', A=A, B=B, **refs)
        self._focus, self._speaker = A, A
        self._last_thing = None

    def where(self, t: Thing, seen_from: Any = None) -> str:
        """The truth about where a thing is: "under the bed in the bedroom", "in the box"."""
        if isinstance(t.where, Person):
            self.world.answer("has", t.noun, t.where.name)
            return f"with {t.where.name}"
        if isinstance(t.where, Thing):
            self.world.answer("in", t.noun, t.where.noun)
            return f"in the {t.where.noun}"
        if t.where is None:
            raise ValueError(f"the {t.noun} is gone")
        self.world.answer("at", t.noun, f"{t.where} / {t.where.place.name}")
        return str(t.where) if t.where.place is seen_from else f"{t.where} {t.where.place.at}"

    def ask_where(self, A: Person, B: Person, t: Thing) -> None:
        """A asks B for a thing of A's own."""
        lines = (
            "Where {t.is_} my {t.noun}?", "Have you seen my {t.noun}?",
            "Do you know where my {t.noun} {t.is_}?", "I cannot find my {t.noun}.",
        )  # fmt: skip
        self.speak(A, lines, B, t=t)

    def tell_where(self, B: Person, A: Person, t: Thing) -> None:
        """B answers A truthfully."""
        words_ = ThingWords(t, "", "")
        spot = self.where(t, A.place)
        lines = (
            f"{words_.it.capitalize()} {words_.is_} {spot}.",
            f"I saw {words_.them} {spot}.",
            f"Look {spot}!",
        )
        self.speak(B, lines[:2] if isinstance(t.where, Person) else lines, A)

    # -- making people, things and places --------------------------------------------------------

    def spot(self, place: Any = None, hidden: bool = False, tidy: bool = False) -> Spot:
        """A random spot. hidden: not simply on something; tidy: only on or in something."""
        place = place or self.dice.pick(self.world.places)
        options = [
            Spot(place, prep, fixture)
            for fixture, preps in place.fixtures
            for prep in preps
            if not (hidden and prep == "on") and not (tidy and prep in ("under", "behind"))
        ]
        return self.dice.pick(options)

    def thing(self, kind: str, where: Any, owner: Person | None = None, **how: Any) -> Thing:
        """A new thing whose noun is not yet in this story. `nouns` limits the choice."""
        nouns = how.pop("nouns", None)
        taken = {thing.noun for thing in self.world.things}
        fixtures = {name for place in self.world.places for name, _ in place.fixtures}
        plural = kind in words.PLURAL and nouns is None and self.dice.chance(0.2)
        pool = nouns or (words.PLURAL if plural else words.SINGULAR)[kind]
        free = [noun for noun in pool if noun not in taken and f"the {noun}" not in fixtures]
        made = Thing(
            self.dice.pick(free), self.dice.pick(words.LOOKS[kind]), kind, plural, owner, **how
        )
        self.world.add_thing(made, where)
        return made
