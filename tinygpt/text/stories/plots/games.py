"""Plots about games and adventures: hide and seek, a noise in the dark, a race."""

from __future__ import annotations

from .. import words
from ..scenes import elder, evening, feel, moral
from ..teller import Teller
from ..world import Person, Spot, Thing

IN_THE_DARK = (
    "a little kitten", "a small dog", "a sleepy owl", "a tiny mouse", "a fat hen", "a lost lamb",
)  # fmt: skip


def hide_and_seek(t: Teller) -> None:
    """One hides, one seeks."""
    A, B = t.hero, t.friend
    seeker, hider = (A, B) if t.dice.chance(0.5) else (B, A)
    t.speak(
        A, ("Let's play hide and seek!", "Do you want to play hide and seek?", "I know a game!"), B
    )
    t.speak(
        seeker,
        ("I will count to ten.", "You hide, and I will look for you.", "Go and hide!"),
        hider,
    )
    spot = t.spot(hidden=True)
    held = _hide(t, seeker, hider, spot)
    t.paragraph()
    _seek(t, seeker, hider, spot)
    t.say(("{A} came out and laughed.", "{A} jumped out.", "Laughing, {A.name} came out."), A=hider)
    if held is not None and t.dice.chance(0.6):
        won = (f"You won, so you can have my {held.noun}.", "Here is a prize for you.")
        t.speak(hider, won, seeker)
        t.give(hider, seeker, held)
        t.flush()
    t.speak(
        hider,
        (
            "Now it is my turn to look!",
            "Again!",
            "You found me so fast!",
            "Next time I will find a better place.",
        ),
    )
    evening(t, A, B)


def _hide(t: Teller, seeker: Person, hider: Person, spot: Spot) -> Thing | None:
    """The one counts, the other creeps away.  Returns what the hider has in hand, if anything."""
    held = None
    if t.dice.chance(0.5):
        held = t.thing(t.dice.pick(("toy", "cloth", "treasure")), hider, hider)
    t.act(
        seeker,
        ("closed both eyes and counted", "counted slowly", "turned around and counted to ten"),
    )
    t.flush()
    t.go(hider, spot.place)
    t.act(hider, "hid {w}", w=str(spot))
    t.flush()
    if held is not None:
        t.say("{A} had {t.a} with {A.him}.", A=hider, t=held)
    t.say(
        ("{A} was as quiet as a mouse.", "{A} held {A.his} breath.", "{A} tried not to laugh."),
        A=hider,
    )
    return held


def _seek(t: Teller, seeker: Person, hider: Person, spot: Spot) -> None:
    """Up to three wrong spots, then a sound gives the hider away."""
    t.speak(seeker, ("Here I come!", "Ready or not!", "I will find you!"))
    for _ in range(1 + int(t.dice.random() * 3)):
        wrong = t.spot()
        if wrong == spot:
            continue
        t.go(seeker, wrong.place)
        t.act(seeker, "looked {w}", w=str(wrong))
        t.flush()
        t.say(
            (
                "No one was there.",
                "But there was only {x}.",
                "{B.name} was not there.",
                "There was {x}, but no {B.name}.",
            ),
            B=hider,
            x=t.dice.pick(words.FOUND_INSTEAD[:-4]),
        )
    t.go(seeker, spot.place)
    t.flush()
    t.say(
        (
            "Then {A.name} heard a small sound.",
            "Somebody laughed very softly.",
            "A foot was sticking out.",
            "{A.name} saw something move.",
        ),
        A=seeker,
    )
    t.speak(seeker, (f"There you are, {spot}!", f"I see you {spot}!", "I have found you!"))


def noise(t: Teller) -> None:
    """A strange sound in the dark turns out to be nothing bad."""
    A, B = t.hero, t.friend
    place = t.dice.pick(t.world.places)
    light = t.thing("treasure", t.spot(A.place), nouns=["lantern"])
    _dark(t, A, B)
    t.act(A, "saw {t.a} {w}", t=light, w=str(light.where))
    t.take(A, light)
    t.flush()
    if place is not A.place:
        t.go_together(A, B, place)
    t.paragraph()
    _what_it_was(t, A, light, t.spot(place, hidden=True))
    t.say(
        (
            "{A.name} and {B.name} laughed.",
            "{B.name} was not scared any more.",
            "Now both of them had to laugh.",
        ),
        A=A,
        B=B,
    )
    if t.dice.chance(0.5):
        t.speak(B, ("That is no monster!", "Hello, little one!", "And I was so afraid!"))
        if t.dice.chance(0.6):
            t.give(A, B, light)
            t.flush()
    moral(
        t,
        "Many things are less scary in the light.",
        "To be brave is to look, even when you are afraid.",
    )
    evening(t, A, B)


def _dark(t: Teller, A: Person, B: Person) -> None:
    """Night, a sound, and A, who is the braver one."""
    t.say(
        (
            "It grew dark.",
            "Night came.",
            "Later that day the sun went down.",
            "There was no moon that night.",
        )
    )
    t.say(
        (
            "All at once they heard a strange sound.",
            "Bump! Bump! What was that?",
            "Something was moving in the dark.",
        )
    )
    feel(t, B, "scared", "it was so dark")
    t.speak(B, ("Is it a monster?", "What was that?", "Let's go home!", "I am afraid."), A)
    t.speak(
        A, ("Let's go and see.", "I am not afraid.", "We have to be brave.", "Stay close to me."), B
    )


def _what_it_was(t: Teller, A: Person, light: Thing, spot: Spot) -> None:
    """An animal, by the light of the lantern."""
    t.say(
        (
            "The sound came from {f}.",
            "Slowly they went to {f}.",
            "{A.name} held {t.the} up and looked at {f}.",
        ),
        A=A,
        t=light,
        f=spot.fixture,
    )
    animal = t.dice.pick(IN_THE_DARK)
    noun = animal.split()[-1]
    t.say(
        (f"It was only {animal} {{w}}!", f"There, {{w}}, sat {animal}.", f"Out came {animal}."),
        w=str(spot),
    )
    t.say(
        (
            f"The {noun} was more afraid than they were.",
            f"The {noun} looked at them with big eyes.",
            f"The {noun} wanted to play.",
        )
    )


def race(t: Teller) -> None:
    """Two run to a place; the one who thinks it easy loses, or stops to help."""
    A, B = t.hero, t.friend
    goal = t.dice.pick([place for place in t.world.places if place is not A.place])
    prize = t.thing(t.dice.pick(("treasure", "food")), elder(t, goal))
    t.say(
        (
            "{A.name} was very fast.",
            "Nobody could run like {A.name}.",
            "{A.name} could run faster than {B.name}.",
        ),
        A=A,
        B=B,
    )
    t.speak(
        A,
        (
            f"Let's race to {goal.name}!",
            f"I will be at {goal.name} before you!",
            f"Who is first at {goal.name}?",
        ),
        B,
    )
    t.say("{A.name} was {g} with {t.a} for the winner.", A=prize.holder, g=goal.at, t=prize)
    t.say(("One, two, three, go!", "They both ran off.", "Ready, steady, go!"))
    t.paragraph()
    end = _stop_to_help if t.dice.chance(0.5) else _rest_too_soon
    end(t, A, B, goal, prize)
    feel(t, prize.holder, "proud")
    evening(t, A, B)


def _stop_to_help(t: Teller, A: Person, B: Person, goal: words.Place, prize: Thing) -> None:
    """B falls, A turns back, they arrive together; A gets the prize."""
    t.say(
        (
            "Then {B.name} fell and hurt {B.his} knee.",
            "But {B.name} fell over a root.",
            "Half way there {B.name} fell down.",
        ),
        B=B,
    )
    t.say(
        (
            "{A} stopped and came back.",
            "{A} heard it and turned around.",
            "{A} could have won, but {A.he} stopped.",
        ),
        A=A,
    )
    t.speak(A, ("Are you hurt?", "Take my hand.", "Come, I will help you up."), B)
    t.go_together(A, B, goal)
    t.flush()
    judge = prize.holder
    t.speak(
        judge,
        ("You both won!", "That was better than winning.", "A good friend is worth a prize."),
    )
    t.give(judge, A, prize)
    t.flush()
    if prize.kind == "food":
        t.speak(A, f"We will share {'them' if prize.plural else 'it'}.", B)


def _rest_too_soon(t: Teller, A: Person, B: Person, goal: words.Place, prize: Thing) -> None:
    """A is far ahead and stops; B goes on and gets the prize."""
    t.say(
        (
            "{A.name} was far ahead and sat down to rest.",
            "{A.name} stopped to look at a butterfly.",
            "{A.name} was so sure that {A.he} lay down and slept.",
        ),
        A=A,
    )
    t.say(
        (
            "{A.name} was slow but did not stop.",
            "{A.name} went on, step by step.",
            "{A.name} ran and ran.",
        ),
        A=B,
    )
    t.go(B, goal, ("came to {p} first", "was the first to reach {p}"))
    t.flush()
    t.go(A, goal, ("came to {p} too late", "ran to {p}, but it was too late"))
    t.flush()
    t.give(prize.holder, B, prize)
    t.flush()
    feel(t, A, t.dice.pick(("surprised", "sad", "angry")))
    moral(t, "Slow and steady is sometimes fast enough.", "It is not over before the end.")
