"""Plots about things: lost, broken, stuck, swapped.

Read next: boxes.py.
"""

from __future__ import annotations

from .. import words
from ..scenes import elder, evening, feel, moral, outside, search, thanks
from ..teller import Teller
from ..world import Person, Spot, Thing

ACCIDENTS = (
    "But {A} dropped {t.the}, and {t.it} broke.",
    "{A} ran too fast and fell, and {t.the} broke.",
    "{A} held {t.the} too tight, and {t.it} broke.",
    "{A} fell over a stone, and {t.the} broke in two.",
)
REPAIRS = (
    "mended {t.the} with some glue",
    "took some string and fixed {t.the}",
    "put the pieces of {t.the} back together",
    "fixed {t.the} with a nail and some glue",
)


def _treasured(t: Teller, A: Person, where: object, *kinds: str, **how: object) -> Thing:
    """Something that belongs to A, introduced in a sentence."""
    thing = t.thing(t.dice.pick(kinds or ("toy", "treasure", "cloth")), where, A, **how)
    t.say(
        (
            "{A} had {t.a}.",
            "{A} had {t.a} and loved {t.them} very much.",
            "{g} had given {A.name} {t.a}.",
            "{A.name}'s favorite {what} {t.was} {t.a}.",
        )[: 4 if not thing.plural and thing.kind == "toy" else 3],
        A=A,
        t=thing,
        what="toy",
        g=t.dice.pick(("Grandma", "Grandpa", "an old friend")),
    )
    return thing


def lost(t: Teller) -> None:
    """Something is not where it should be; two look for it; it is found."""
    A, B = t.hero, t.friend
    if t.dice.chance(0.5):
        A, B = B, A
    hidden = t.spot(hidden=True)
    thing = _treasured(t, A, hidden)
    t.say(
        (
            "But today {t.the} {t.was} gone.",
            "Now {A} could not find {t.the}.",
            "But {t.the} {t.was} not in {A.his} pocket, and not in {A.his} bag.",
            "{A} looked and looked, but {t.the} {t.was} not there.",
        ),
        A=A,
        t=thing,
    )
    feel(t, A, t.dice.pick(("sad", "worried")), "{t.the} {t.was} lost", t=thing)
    _find(t, A, B, thing)
    feel(t, A, "happy", "{t.the} {t.was} back", t=thing)
    if thing.where is A and B.place is A.place:
        thanks(t, A, B)
    if t.dice.chance(0.5):
        t.put(A, thing, t.spot(A.place, tidy=True))
        t.flush()
    moral(
        t,
        "After that, {A} always kept {t.the} in a safe place.",
        "It is good to have a friend who helps.",
        "{A} was careful with {t.the} from then on.",
        A=A,
        t=thing,
    )
    evening(t, A, B)


def _find(t: Teller, A: Person, B: Person, thing: Thing) -> None:
    """A asks; B knows where it is, or the two look for it; A has it in the end."""
    t.ask_where(A, B, thing)
    if t.dice.chance(0.4):  # B knows
        t.tell_where(B, A, thing)
        t.go(A, thing.spot.place)
        t.act(A, "looked {w}", w=str(thing.spot))
        t.take(A, thing)
        t.flush()
    else:
        t.speak(
            B,
            (
                "I do not know.",
                "No, I have not seen {t.them}.",
                "I do not know, but I can help you.",
            ),
            t=thing,
        )
        t.speak(
            B, ("Let's look together!", "I will help you.", "Let's look for {t.them}."), A, t=thing
        )
        t.paragraph()
        finder = t.dice.pick((A, B))
        search(t, finder, thing)
        t.take(finder, thing)
        if finder is B:
            t.go(B, A.place)
            t.give(B, A, thing)
        t.flush()


def broken(t: Teller) -> None:
    """Somebody breaks another's thing, tells the truth, and it is mended."""
    A, B = t.hero, t.friend
    kind = "toy" if t.dice.chance(0.6) else "treasure"
    thing = t.thing(kind, B, B, nouns=[n for n in words.FRAGILE if n in words.SINGULAR[kind]])
    t.say(("{A} had {t.a}.", "{A} came with {t.a}.", "{A} had brought {t.a}."), A=B, t=thing)
    t.speak(
        A, ("Can I hold {t.them}?", "May I play with {t.them}?", "Can I see {t.them}?"), B, t=thing
    )
    t.speak(B, ("Yes, but be careful.", "Yes, you can.", "Of course."))
    t.give(B, A, thing)
    t.flush()
    t.damage(A, thing, t.dice.pick(ACCIDENTS))
    t.paragraph()
    hides = t.dice.chance(0.4)
    if hides:
        _hide_and_confess(t, A, B, thing)
    else:
        t.speak(
            A,
            ("I am so sorry!", "I am sorry, {you}. It was not on purpose.", "Oh no! I am sorry!"),
            you=B.name,
        )
        if t.dice.chance(0.5):
            t.give(A, B, thing)
            t.flush()
    feel(t, B, t.dice.pick(("sad", "angry")), "{t.the} {t.was} broken", t=thing)
    _mend(t, A, B, thing)
    moral(
        t,
        *(["Telling the truth was hard, but it felt good."] if hides else []),
        "{A.name} was glad to have told the truth.",
        "A broken thing can be mended, and so can a friendship.",
        A=A,
    )
    evening(t, A, B)


def _hide_and_confess(t: Teller, A: Person, B: Person, thing: Thing) -> None:
    """A puts the pieces out of sight; B asks; A tells and gives them back."""
    feel(t, A, "scared")
    t.put(A, thing, t.spot(A.place, hidden=True))
    t.flush()
    t.ask_where(B, A, thing)
    t.say(("At first {A} said nothing.", "{A} looked at the ground."), A=A)
    t.speak(A, "It broke, and I hid it. I am sorry.")
    t.take(A, thing)
    t.give(A, B, thing)
    t.flush()


def _mend(t: Teller, A: Person, B: Person, thing: Thing) -> None:
    """A mends it, or a grown-up whom A asks; B has it back whole."""
    helper = A if t.dice.chance(0.5) else elder(t, A.place)
    if helper is not A:
        t.say("{A} asked {h.name} for help.", A=A, h=helper)
        t.speak(helper, ("Let me see.", "We can mend it.", "Do not cry. I can fix it."))
    else:
        t.speak(A, ("I can fix it.", "Let me try to mend it.", "I will make it good again."))
    t.mend(helper, thing, t.dice.pick(REPAIRS))
    if thing.where is A:
        t.give(A, B, thing)
    t.flush()
    t.say(
        (
            "Now {t.the} {t.was} as good as new.",
            "{t.the} {t.was} whole again.",
            "Nobody could see that {t.the} had been broken.",
        ),
        t=thing,
    )
    feel(t, B, "happy", "{t.the} {t.was} whole again", t=thing)


def stuck(t: Teller) -> None:
    """A thing flies up into a tree, and nobody can reach it, until somebody has an idea."""
    A, B = t.hero, t.friend
    outside(t)
    kind = t.dice.pick(("toy", "cloth", "treasure"))
    thing = t.thing(kind, A, A, nouns=[n for n in words.FLYERS if n in words.SINGULAR[kind]])
    t.say(
        ("{A} had {t.a}.", "{A} was playing with {t.a}.", "{A} showed {B.name} {t.a}."),
        A=A,
        B=B,
        t=thing,
    )
    _fly_up(t, A, thing)
    feel(t, A, "sad", "{t.the} was stuck", t=thing)
    t.paragraph()
    getter = _who_can_reach(t, A, B)
    t.flush()
    t.world.take(getter, thing)
    t.act(getter, ("got {t.the} down", "took {t.the} down", "pulled {t.the} down"), t=thing)
    t.give(getter, A, thing)
    t.flush()
    thanks(t, A, getter)
    feel(t, A, "happy", "{t.the} was back", t=thing)
    moral(
        t,
        "Some things are easy when somebody helps.",
        "{A} held {t.the} tight after that.",
        A=A,
        t=thing,
    )
    evening(t, A, B)


def _fly_up(t: Teller, A: Person, thing: Thing) -> None:
    """The wind or a throw takes it from A's hands to where A cannot reach it."""
    up = Spot(
        A.place, "up on", t.dice.pick(("the roof", "a high branch", "the big tree", "a tall post"))
    )
    thing.where = up
    t.world.log.append(("thing", thing.noun, *t.world.describe(up), ""))
    t.say(
        (
            "The wind took {t.the} and blew {t.it} {w}.",
            "{A} threw {t.the} too high, and it landed {w}.",
            "Whoosh! Up flew {t.the} and landed {w}.",
        ),
        A=A,
        t=thing,
        w=str(up),
    )
    t.say(
        (
            "{A} jumped, but {t.the} was too high.",
            "{A} could not reach {t.the}.",
            "{A} was too small to reach it.",
        ),
        A=A,
        t=thing,
    )


def _who_can_reach(t: Teller, A: Person, B: Person) -> Person:
    """The idea: B climbs, B fetches a tool, or B asks a grown-up.  Returns who gets it down."""
    way = t.dice.pick(("climb", "tool", "elder"))
    if way == "climb":
        t.speak(B, ("I can climb.", "Wait, I will get it.", "Let me try."), A)
        t.act(B, "climbed up slowly")
        return B
    if way == "tool":
        tool = t.thing("tool", t.spot(), nouns=["ladder", "broom", "rope", "net"])
        t.speak(B, f"We need the {tool.noun}!", A)
        home = B.place
        t.go(B, tool.spot.place)
        t.take(B, tool)
        t.go(B, home, ("went back to {p}", "ran back to {p}", "came back to {p}"))
        t.flush()
        t.say(("With {t.the} it was easy.", "{A} used {t.the} with care."), A=B, t=tool)
        return B
    getter = elder(t, A.place)
    t.say("{B.name} asked {e.name} for help.", B=B, e=getter)
    t.speak(
        getter, ("Do not worry.", "I am tall. I can reach it.", "That is no problem for me."), A
    )
    return getter


def swap(t: Teller) -> None:
    """Each wants what the other has."""
    A, B = t.hero, t.friend
    mine = t.thing(t.dice.pick(("toy", "treasure")), A, A)
    theirs = t.thing(t.dice.pick(("toy", "cloth", "food")), B, B)
    t.say(
        (
            "{A} had {t.a}, and {B.name} had {u.a}.",
            "{A} held {t.a}. {B.name} held {u.a}.",
            "In {A.his} hands {A.name} had {t.a}, but {B.name} had {u.a}.",
        ),
        A=A,
        B=B,
        t=mine,
        u=theirs,
    )
    t.say(
        ("{A} looked at {u.the}.", "{A} liked {u.the} very much.", "{A} wanted to have {u.the}."),
        A=A,
        u=theirs,
    )
    t.speak(
        A,
        ("Can we swap?", "Do you want to swap?", "Will you give me your {u} for my {m}?"),
        B,
        u=theirs.noun,
        m=mine.noun,
    )
    if t.dice.chance(0.75):
        _exchange(t, A, B, mine, theirs)
    else:
        _keep(t, A, B, mine, theirs)
    evening(t, A, B)


def _exchange(t: Teller, A: Person, B: Person, mine: Thing, theirs: Thing) -> None:
    """B agrees; A eats what was food, and may regret the rest and have it undone."""
    t.speak(B, ("Yes, let's swap!", "That is a good idea.", "Yes, I like your {m}."), m=mine.noun)
    t.give(A, B, mine)
    t.flush()
    t.give(B, A, theirs)
    t.flush()
    t.say("Now {A.name} had {u.the} and {B.name} had {t.the}.", A=A, B=B, t=mine, u=theirs)
    t.say(("Both of them were happy.", "They both smiled.", "It was a fair swap."))
    if theirs.kind == "food":
        t.eat(A, theirs)
        t.flush()
    elif t.dice.chance(0.3):
        feel(t, A, "sorry", "{t.the} {t.was} gone", t=mine)
        t.speak(A, f"May I have my {mine.noun} back?", B)
        t.give(B, A, mine)
        t.give(A, B, theirs)
        t.flush()
        t.say("So everything was as before.")


def _keep(t: Teller, A: Person, B: Person, mine: Thing, theirs: Thing) -> None:
    """B would rather not; they play together, each with what is theirs."""
    keep = "them" if theirs.plural else "it"
    t.speak(B, (f"No, I want to keep {keep}.", "I am sorry, but no.", "No, not today."))
    feel(t, A, "sad")
    t.speak(B, "But we can play together!", A)
    t.say(
        ("So they played with {t.the} and with {u.the}.", "They played all {time} long."),
        t=mine,
        u=theirs,
        time=t.dice.pick(("morning", "afternoon", "day")),
    )
    t.say(
        "In the end {A.name} still had {t.the}, and {B.name} had {u.the}.",
        A=A,
        B=B,
        t=mine,
        u=theirs,
    )
    moral(
        t,
        "You do not have to own a thing to enjoy it.",
        "Playing together is better than having more.",
    )
