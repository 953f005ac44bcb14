"""What is true in a story: who is where, who holds what, what is open, closed, broken or eaten.

Each action checks that it can happen (nobody takes what is not there, nobody opens what is open),
changes the state and writes one line of the log. The log is made of plain strings, so a test can
replay it in a simulator of its own and find the same world at the end.

Read next: teller.py, which turns actions into sentences.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .words import Place


@dataclass(eq=False)
class Person:
    """Somebody in the story. `she` decides every pronoun."""

    name: str
    kind: str
    she: bool
    place: Place
    grown_up: bool = False
    trait: str = ""

    @property
    def pronouns(self) -> tuple[str, str, str]:
        return ("she", "her", "her") if self.she else ("he", "him", "his")


@dataclass(frozen=True)
class Spot:
    """A place for a thing that nobody holds: (prep, fixture) there, like "under the bed"."""

    place: Place
    prep: str
    fixture: str

    def __str__(self) -> str:
        return f"{self.prep} {self.fixture}"


@dataclass(eq=False)
class Thing:
    """A thing, in somebody's hands, at a spot, inside a container, or gone (eaten, used up)."""

    noun: str
    look: str
    kind: str
    plural: bool = False
    owner: Person | None = None
    where: Person | Spot | Thing | None = None
    broken: bool = False
    is_open: bool | None = None  # None: not something that opens

    @property
    def name(self) -> str:
        return f"{self.look} {self.noun}"

    @property
    def place(self) -> Place | None:
        """The place it is at, through whoever or whatever holds it; None once it is gone."""
        return None if self.where is None else self.where.place

    @property
    def holder(self) -> Person:
        """Who has it in hand.  Raises Impossible if nobody does."""
        if not isinstance(self.where, Person):
            raise Impossible(f"nobody holds the {self.noun}")
        return self.where

    @property
    def spot(self) -> Spot:
        """Where it lies.  Raises Impossible if it is held, inside something or gone."""
        if not isinstance(self.where, Spot):
            raise Impossible(f"the {self.noun} lies nowhere")
        return self.where


class Impossible(Exception):
    """A plot asked for something that the world does not allow: always a bug of the plot."""


@dataclass
class World:
    """The people, the places and the things of one story, and the log of what happened.

    An action that its docstring does not allow raises Impossible.
    """

    places: tuple[Place, ...]
    people: list[Person] = field(default_factory=list)
    things: list[Thing] = field(default_factory=list)
    log: list[tuple[str, ...]] = field(default_factory=list)

    def _require(self, condition: bool, *what: str) -> None:
        if not condition:
            raise Impossible(" ".join(what))

    def add_person(self, person: Person) -> None:
        """Somebody joins the story."""
        self.people.append(person)
        self.log.append(("person", person.name, person.place.name))

    def add_thing(self, thing: Thing, where: Person | Spot | Thing) -> None:
        """A thing appears in somebody's hands, at a spot or in a box."""
        thing.where = where
        self.things.append(thing)
        openness = {None: "", True: "open", False: "closed"}[thing.is_open]
        self.log.append(("thing", thing.noun, *self.describe(where), openness))

    @staticmethod
    def describe(where: Person | Spot | Thing) -> tuple[str, str]:
        """A location as two strings of the log: its kind and its name."""
        if isinstance(where, Person):
            return "held", where.name
        if isinstance(where, Thing):
            return "inside", where.noun
        return "spot", f"{where} / {where.place.name}"

    def reachable(self, person: Person, thing: Thing) -> bool:
        """True when the person could pick it up now: at the same place, not held, not shut in."""
        where = thing.where
        if isinstance(where, Thing):
            return bool(where.is_open) and (where.where is person or self.reachable(person, where))
        return isinstance(where, Spot) and where.place is person.place

    def go(self, person: Person, place: Place) -> None:
        """To another place, with everything in hand."""
        self._require(person.place is not place, person.name, "is already", place.at)
        person.place = place
        self.log.append(("go", person.name, place.name))

    def take(self, person: Person, thing: Thing) -> None:
        """From where it is within reach into the hands."""
        self._require(self.reachable(person, thing), person.name, "cannot reach", thing.noun)
        thing.where = person
        self.log.append(("take", person.name, thing.noun))

    def put(self, person: Person, thing: Thing, where: Spot | Thing) -> None:
        """From the hands to a spot at this place, or into an open box here."""
        self._require(thing.where is person, person.name, "does not hold", thing.noun)
        self._require(where.place is person.place, person.name, "is not at the place for it")
        self._require(
            isinstance(where, Spot) or (where.is_open is True and where is not thing),
            "cannot put", thing.noun, "there",
        )  # fmt: skip
        thing.where = where
        self.log.append(("put", person.name, thing.noun, *self.describe(where)))

    def give(self, giver: Person, taker: Person, thing: Thing) -> None:
        """From hands to hands at one place."""
        self._require(thing.where is giver, giver.name, "does not hold", thing.noun)
        self._require(giver.place is taker.place, giver.name, "is not with", taker.name)
        thing.where = taker
        self.log.append(("give", giver.name, taker.name, thing.noun))

    def open(self, person: Person, box: Thing) -> None:
        """What is closed, here or in hand."""
        self._require(box.is_open is False, box.noun, "is not closed")
        self._require(box.place is person.place, person.name, "is not at the", box.noun)
        box.is_open = True
        self.log.append(("open", person.name, box.noun))

    def close(self, person: Person, box: Thing) -> None:
        """What is open, here or in hand."""
        self._require(box.is_open is True, box.noun, "is not open")
        self._require(box.place is person.place, person.name, "is not at the", box.noun)
        box.is_open = False
        self.log.append(("close", person.name, box.noun))

    def damage(self, person: Person, thing: Thing) -> None:
        """What was whole is broken."""
        self._require(not thing.broken, thing.noun, "is broken already")
        self._require(thing.place is person.place, person.name, "is not at", thing.noun)
        thing.broken = True
        self.log.append(("break", person.name, thing.noun))

    def mend(self, person: Person, thing: Thing) -> None:
        """What was broken is whole."""
        self._require(thing.broken, thing.noun, "is not broken")
        self._require(thing.place is person.place, person.name, "is not at", thing.noun)
        thing.broken = False
        self.log.append(("mend", person.name, thing.noun))

    def eat(self, person: Person, thing: Thing) -> None:
        """Food in hand is gone."""
        self._require(thing.where is person, person.name, "does not hold", thing.noun)
        self._require(thing.kind == "food", thing.noun, "is no food")
        thing.where = None
        self.log.append(("eat", person.name, thing.noun))

    def answer(self, *fact: str) -> None:
        """Log a fact that the text states in answer to a question, for the checker to verify."""
        self.log.append(("answer", *fact))
