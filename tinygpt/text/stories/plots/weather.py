"""Plots about rain, seeds and time.

Read next: games.py.
"""

from __future__ import annotations

from ..scenes import evening, feel, moral, outside
from ..teller import Teller
from ..words import Place
from ..world import Person, Spot, Thing

SEEDS = (  # what it looks like, what it becomes
    ("a tiny seed", "flower"),
    ("a brown seed", "pumpkin"),
    ("a round seed", "tree"),
    ("a small bean", "bean plant"),
    ("a strange seed", "sunflower"),
)


def storm(t: Teller) -> None:
    """Rain comes; they run for shelter; one is afraid; it passes."""
    A, B = t.hero, t.friend
    start = A.place
    shelter = t.dice.pick([place for place in t.world.places if place is not start])
    held = t.thing(t.dice.pick(("toy", "cloth")), A, A)
    t.say(("{A} was playing with {t.a}.", "{A} had {t.a}.", "{A} was holding {t.a}."), A=A, t=held)
    t.say(("Then the sky grew dark.", "Soon big clouds came.", "All at once the wind grew strong."))
    t.say(("A drop fell, and then another.", "It began to rain.", "There was thunder far away."))
    t.speak(B, ("We must go to {p}!", "Let's run to {p}!", "Quick, to {p}!"), A, p=shelter.name)
    left = t.dice.chance(0.4)
    if left:
        t.put(A, held, t.spot(start))
        t.flush()
    t.go_together(A, B, shelter)
    t.flush()
    t.say(
        (
            "Both of them were wet.",
            "The rain was loud on the roof.",
            "Their hair was wet, but they were safe.",
            "They were out of the rain.",
        )
    )
    t.paragraph()
    scared = _thunder(t, A, B)
    t.say(("At last the rain stopped.", "Then the storm went away.", "After a while it was quiet."))
    if t.dice.chance(0.6):
        t.say(
            ("A rainbow stood in the sky.", "The sun came out again.", "Everything smelled fresh.")
        )
    if left:
        _back_for(t, A, held, start)
    moral(
        t,
        "A storm is not so bad when you are not alone.",
        "{A.name} was not so afraid of storms after that.",
        A=scared,
    )
    evening(t, A, B)


def _thunder(t: Teller, A: Person, B: Person) -> Person:
    """The storm is above them; one is afraid, the other helps.  Returns who was afraid."""
    t.say(
        (
            "Boom! The thunder was very loud.",
            "A bright light flashed in the sky.",
            "The storm was right above them.",
        )
    )
    scared = t.dice.pick((A, B))
    other = B if scared is A else A
    feel(t, scared, "scared", "the thunder was loud")
    t.speak(
        other,
        (
            "Do not be afraid. I am here.",
            "It is only noise.",
            "Take my hand.",
            "Let's sing a song, then we cannot hear it.",
        ),
        scared,
    )
    t.say(
        (
            "They sat close together.",
            "They sang every song they knew.",
            "They told each other stories.",
            "They counted slowly to ten.",
        )
    )
    return scared


def _back_for(t: Teller, A: Person, held: Thing, start: Place) -> None:
    """A fetches what was left in the rain."""
    t.speak(
        A, f"My {held.noun}! I left {'them' if held.plural else 'it'} {t.where(held, A.place)}!"
    )
    t.go(A, start, ("ran back to {p}", "hurried back to {p}"))
    t.take(A, held)
    t.flush()
    t.say("{t.the} {t.was} wet, but {A.name} was happy to have {t.them}.", A=A, t=held)


def grow(t: Teller) -> None:
    """A seed, water and patience."""
    A, B = t.hero, t.friend
    outside(t)
    seed, plant = t.dice.pick(SEEDS)
    _sow(t, A, B, seed)
    t.paragraph()
    _wait(t, A, B)
    t.say(
        (
            f"It grew and grew until it was a big {plant}.",
            f"In the summer it was a tall {plant}.",
            f"It became the most beautiful {plant} of all.",
        )
    )
    feel(t, A, t.dice.pick(("happy", "proud", "surprised")), "{A.his} plant was so big")
    if t.dice.chance(0.5):
        beside = Spot(A.place, "beside", "the plant")
        fruit = t.thing("food", beside, nouns=["pear", "apple", "peach"])
        t.say("{t.a} lay beside the plant.", t=fruit)
        picker = t.dice.pick((A, B))
        t.take(picker, fruit)
        if t.dice.chance(0.5):
            t.eat(picker, fruit)
        t.flush()
    moral(
        t,
        "{A.name} learned to wait.",
        "Small things can become big.",
        "With water and time, much can grow.",
        A=A,
    )
    evening(t, A, B)


def _sow(t: Teller, A: Person, B: Person, seed: str) -> None:
    """A seed is found, and a tool, and a hole is dug."""
    t.say(
        (
            "{A} found {s} on the ground.",
            "A bird dropped {s} in front of {A.name}.",
            "{B.name} gave {A.name} {s}.",
        ),
        A=A,
        B=B,
        s=seed,
    )
    t.speak(A, ("What will it be?", "I will plant it.", "Let's put it in the ground!"), B)
    tool = t.thing("tool", t.spot(A.place), nouns=["shovel", "spoon"])
    t.act(A, "saw {t.a} {w}", t=tool, w=str(tool.where))
    t.take(A, tool)
    t.act(A, "dug a small hole")
    t.act(A, "put the seed into it")
    t.flush()
    if t.dice.chance(0.6):
        t.put(A, tool, t.spot(A.place))
        t.flush()


def _wait(t: Teller, A: Person, B: Person) -> None:
    """Water every day, and for a long time only earth."""
    t.say(
        (
            "Every morning {A.name} gave it water.",
            "{A.name} and {B.name} gave it water each day.",
            "{A.name} came every day to look.",
        ),
        A=A,
        B=B,
    )
    t.say(
        (
            "For a long time nothing happened.",
            "One day passed, and then another.",
            "But there was only brown earth.",
        )
    )
    if t.dice.chance(0.7):
        feel(t, A, t.dice.pick(("sad", "worried")), "nothing grew")
        t.speak(B, ("Wait a little longer.", "Good things take time.", "Do not give up!"), A)
    t.say(
        (
            "Then one morning there was a green leaf.",
            "After a week a little green leaf came up.",
            "At last something green looked out of the earth.",
        )
    )
