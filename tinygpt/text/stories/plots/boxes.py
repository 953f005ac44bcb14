"""Plots about boxes that open and close, and putting things into them.

Read next: friends.py.
"""

from __future__ import annotations

from ..scenes import elder, evening, feel, moral, search
from ..teller import Teller
from ..world import Person, Spot, Thing


def locked_box(t: Teller) -> None:
    """A closed box, a key somewhere else, something inside."""
    A, B = t.hero, t.friend
    box = t.thing("box", t.spot(A.place), nouns=["box", "chest"], is_open=False)
    key = t.thing("treasure", t.spot(hidden=True), nouns=["key"])
    inside = t.thing(t.dice.pick(("treasure", "toy")), box)
    t.say(
        ("{A} saw {t.a} {w}.", "{w} {A} found {t.a}.", "There was {t.a} {w}."),
        A=A,
        t=box,
        w=str(box.where),
    )
    feel(t, A, "curious")
    t.speak(
        A, ("What is in the {n}?", "I wonder what is inside.", "Look at this {n}!"), B, n=box.noun
    )
    t.say(
        (
            "But {t.the} was locked.",
            "{A} pulled, but {t.the} did not open.",
            "{t.the} was closed, and there was no key.",
        ),
        A=A,
        t=box,
    )
    t.speak(B, ("We need a key.", "There must be a key.", "Let's find the key!"), A)
    t.paragraph()
    finder = t.dice.pick((A, B))
    home = finder.place
    search(t, finder, key)
    t.take(finder, key)
    t.go(finder, home)
    t.flush()
    t.say(("The key turned with a click.", "The key fit!", "It was the right key."))
    t.open(finder, box)
    t.flush()
    _look_inside(t, finder, box, inside)
    t.speak(B, ("It is our secret.", "What a day!", "This is the best thing we ever found."))
    evening(t, A, B)


def _look_inside(t: Teller, finder: Person, box: Thing, inside: Thing) -> None:
    """The box is open: what is in it is taken, or only looked at."""
    t.say(
        ("Inside {t.was} {t.a}!", "In {b.the} {t.was} {t.a}!", "There {t.was} {t.a} inside."),
        t=inside,
        b=box,
    )
    feel(t, t.hero, "surprised")
    if t.dice.chance(0.7):
        t.take(finder, inside)
        other = t.friend if finder is t.hero else t.hero
        if t.dice.chance(0.5):
            t.give(finder, other, inside)
        t.flush()
        if t.dice.chance(0.5):
            t.close(finder, box)
            t.flush()
    else:
        t.say("They looked at {t.them} for a long time.", t=inside)
        t.close(finder, box)
        t.flush()


def tidy(t: Teller) -> None:
    """Things lie about; the two put each away; a grown-up asks where they are."""
    A, B = t.hero, t.friend
    here = A.place
    big = elder(t, here)
    t.speak(
        big,
        (
            "What a mess!",
            "Please clean up here.",
            "Can you two tidy up, please?",
            "Everything lies on the floor!",
        ),
    )
    t.speak(A, ("Yes, we will!", "We will do it at once.", "Let's make it a game!"))
    box = t.thing("box", t.spot(here, tidy=True), is_open=True) if t.dice.chance(0.6) else None
    if box is not None:
        t.say("There was {t.a} {w}.", t=box, w=str(box.where))
    floor = Spot(here, "on", "the floor" if here.prep == "in" else "the ground")
    things = []
    for _ in range(2 + int(t.dice.random() * 3)):
        things.append(t.thing(t.dice.pick(("toy", "cloth", "tool", "treasure")), floor))
    first, second, *rest = things
    t.say("On {f} lay {t.a} and {u.a}.", t=first, u=second, f=floor.fixture)
    for thing in rest:
        t.say(("There {t.was} also {t.a}.", "Next to {u.the} {t.was} {t.a}."), u=second, t=thing)
    t.paragraph()
    for thing in things:
        who = t.dice.pick((A, B))
        t.take(who, thing)
        inside = box is not None and t.dice.chance(0.4)
        t.put(who, thing, box if inside and box else t.spot(here, tidy=t.dice.chance(0.7)))
        if t.dice.chance(0.5):
            t.flush()
    if box is not None and t.dice.chance(0.5):
        t.close(B, box)
    t.paragraph()
    t.act(big, ("came back and looked around", "came in again", "looked around"))
    t.flush()
    asked = t.dice.pick(things)
    t.speak(big, f"Where {'are' if asked.plural else 'is'} the {asked.noun}?", A)
    t.tell_where(A, big, asked)
    t.speak(big, ("Well done!", "How clean it is now!", "You are good helpers."))
    feel(t, A, "proud")
    evening(t, A, B)


def gift(t: Teller) -> None:
    """A birthday: a present is found, hidden, and given."""
    A, B = t.hero, t.friend
    here = A.place
    away = t.dice.pick([place for place in t.world.places if place is not here])
    t.say(
        (
            "Tomorrow was {B.name}'s birthday.",
            "It was almost {B.name}'s birthday.",
            "{B.name} would soon be {n} years old.",
        ),
        B=B,
        n=t.dice.pick(("five", "six", "seven", "eight")),
    )
    t.say(
        (
            "{A.name} wanted to give {B.name} something special.",
            "{A.name} did not have a gift yet.",
            "{A.name} thought about a gift for {B.name}.",
        ),
        A=A,
        B=B,
    )
    t.go(A, away)
    t.flush()
    present, box = _find_present(t, A, B)
    t.go(A, here, ("went back to {p}", "came back to {p}"))
    t.flush()
    t.paragraph()
    _unpack(t, A, B, present, box)
    moral(
        t,
        "{A.name} found that giving is as nice as getting.",
        "The best gifts come from the heart.",
        A=A,
    )
    evening(t, A, B)


def _find_present(t: Teller, A: Person, B: Person) -> tuple[Thing, Thing | None]:
    """A finds it and perhaps puts it into a box.  Returns (present, box)."""
    spot = t.spot(A.place)
    present = t.thing(t.dice.pick(("toy", "treasure", "cloth")), spot)
    t.say(
        ("There {A.he} found {t.a} {w}.", "{w} {A.he} saw {t.a}.", "There {t.was} {t.a} {w}."),
        A=A,
        t=present,
        w=str(spot),
    )
    t.speak(A, ("This is just right!", "{you} will love this.", "What a nice gift!"), you=B.name)
    t.take(A, present)
    if not t.dice.chance(0.5):
        return present, None
    box = t.thing("box", A, nouns=["box", "basket"], is_open=True)
    t.say("{A} also had {t.a}.", A=A, t=box)
    t.put(A, present, box)
    t.close(A, box)
    t.flush()
    return present, box


def _unpack(t: Teller, A: Person, B: Person, present: Thing, box: Thing | None) -> None:
    """The birthday itself."""
    t.say(
        (
            'The next day {A.name} said, "Close your eyes!"',
            "On the birthday they all sang a song.",
            "When the day came, {A.name} could hardly wait.",
        ),
        A=A,
    )
    t.give(A, B, box or present)
    t.flush()
    if box is not None:
        t.open(B, box)
        t.flush()
        t.say("Inside {t.was} {t.a}!", t=present)
    feel(t, B, t.dice.pick(("happy", "surprised")))
    t.speak(
        B,
        (
            "I love {t.them}!",
            "This is the best gift of all!",
            "How did you know?",
            "Thank you! {t.It} {t.is_} wonderful!",
        ),
        A,
        t=present,
    )
    if box is not None and t.dice.chance(0.7):
        t.take(B, present)
        t.flush()
