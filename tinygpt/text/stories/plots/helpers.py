"""Plots about helping: an errand, an animal in need, cooking.

Read next: weather.py.
"""

from __future__ import annotations

from ..scenes import elder, evening, feel, moral
from ..teller import Teller
from ..world import Person, Thing

# trouble of the animal: (kind of thing that helps, which nouns of it (None: any), what A says)
AID = {
    "cold": ("cloth", ["blanket", "scarf", "coat", "sweater"], "It needs something warm."),
    "thirsty": ("tool", ["cup", "pot"], "It needs water."),
    "hungry": ("food", None, "It needs something to eat."),
    "hurt": ("cloth", ["blanket", "scarf", "coat", "sweater"], "It must rest on something soft."),
}
MEALS = ("soup", "bread", "pancakes", "jam", "a birthday cake", "apple pie")
INGREDIENTS = ("milk", "flour", "salt", "sugar", "honey", "butter", "water", "eggs")


def errand(t: Teller) -> None:
    """A grown-up needs something from another place; the hero brings it."""
    A, B = t.hero, t.friend
    big = elder(t, A.place)
    home = A.place
    far = t.dice.pick([place for place in t.world.places if place is not home])
    want = t.thing(t.dice.pick(("tool", "cloth", "food", "treasure")), t.spot(far))
    _request(t, big, A, want)
    t.paragraph()
    together = t.dice.chance(0.5)
    if together:
        t.go_together(A, B, far)
    else:
        t.go(A, far)
        t.flush()
        t.say(
            (
                "On the way {A} saw a butterfly, but {A.he} did not stop.",
                "It was a long way.",
                "{A} sang a song on the way.",
                "On the way {A} met a dog and said hello.",
            ),
            A=A,
        )
    t.act(A, "looked {w}", w=str(want.where))
    t.take(A, want)
    t.flush()
    if t.dice.chance(0.3):
        feel(t, A, "tired")
    if together and t.dice.chance(0.5):
        t.give(A, B, want)
        t.flush()
        t.say("{A.name} carried {t.the} all the way back.", A=B, t=want)
    t.paragraph()
    if together:
        t.go_together(A, B, home)
    else:
        t.go(A, home, ("went back to {p}", "ran back to {p}", "came back to {p}"))
    _hand_over(t, want, big)
    evening(t, A, B)


def _request(t: Teller, big: Person, A: Person, want: Thing) -> None:
    """The grown-up says what is needed, and where it is if A asks."""
    t.act(big, ("called {B}", "looked for {B}", "came to {B}"), B=A)
    t.flush()
    t.speak(
        big,
        (
            "I need my {t.noun}.",
            "Can you bring me my {t.noun}?",
            "I forgot my {t.noun}. Can you get {t.them}?",
        ),
        A,
        t=want,
    )
    if t.dice.chance(0.7):
        t.speak(A, ("Where {t.is_} {t.it}?", "Where can I find {t.them}?"), t=want)
        t.tell_where(big, A, want)
    t.speak(A, ("I will get {t.them}!", "I will be quick.", "Yes, I can do that."), t=want)


def _hand_over(t: Teller, want: Thing, big: Person) -> None:
    """Whoever carries it gives it to the grown-up, and is thanked."""
    carrier = want.holder
    t.give(carrier, big, want)
    t.flush()
    t.speak(
        big,
        (
            "Thank you! You are a great help.",
            "Well done!",
            "That was quick!",
            "Now I can work again. Thank you.",
        ),
        carrier,
    )
    feel(t, carrier, "proud")


def hurt_animal(t: Teller) -> None:
    """A small animal needs help, gets it, and comes back one day."""
    A, B = t.hero, t.friend
    pet = t.dice.pick(("bird", "kitten", "puppy", "turtle", "lamb", "hen"))
    spot = t.spot(A.place, hidden=True)
    t.say(
        (
            f"{{A}} heard a soft sound, and {{w}} {{A.he}} found a little {pet}.",
            f"{{w}} {{A.name}} found a small {pet}.",
            f"Then {{A}} saw a {pet} {{w}}.",
        ),
        A=A,
        w=str(spot),
    )
    trouble = t.dice.pick(tuple(AID))
    t.say(
        (
            f"The {pet} was {trouble}.",
            f"It was {trouble} and could not walk.",
            f"The poor {pet} looked {trouble}.",
        )
    )
    t.speak(B, ("We have to help it!", "Poor thing!", "What can we do?", "It needs us."), A)
    kind, nouns, line = AID[trouble]
    if t.dice.chance(0.6):
        t.speak(A, line)
    aid = t.thing(kind, t.spot(), nouns=nouns)
    t.paragraph()
    helper = t.dice.pick((A, B))
    _fetch(t, helper, aid)
    _use(t, helper, aid, pet)
    _recovery(t, A, pet)
    moral(
        t,
        "Even small friends need help sometimes.",
        "Being kind costs nothing.",
        f"{{A.name}} was glad that the {pet} was well.",
        A=A,
    )
    evening(t, A, B)


def _fetch(t: Teller, helper: Person, aid: Thing) -> None:
    """The helper takes what is needed, here or from where it lies, and is back."""
    home, there = helper.place, aid.spot
    if there.place is home:
        t.act(helper, "saw {t.a} {w}", t=aid, w=str(there))
        t.take(helper, aid)
    else:
        t.go(helper, there.place)
        t.act(helper, "found {t.a} {w}", t=aid, w=str(there))
        t.take(helper, aid)
        t.go(helper, home, ("ran back to {p}", "hurried back to {p}"))
    t.flush()


def _use(t: Teller, helper: Person, aid: Thing, pet: str) -> None:
    """A cloth warms, a cup or pot brings water, food is shared."""
    if aid.kind == "cloth":
        lines = (f"{{A}} put {{t.the}} around the {pet}.", f"{{A}} laid the {pet} on {{t.the}}.")
        t.say(lines, A=helper, t=aid)
    elif aid.kind == "tool":
        t.say(f"{{A}} filled {{t.the}} with water, and the {pet} drank.", A=helper, t=aid)
    else:
        part = "some" if aid.plural else "a piece"
        t.say(f"{{A}} gave {part} of {{t.the}} to the {pet}.", A=helper, t=aid)


def _recovery(t: Teller, A: Person, pet: str) -> None:
    """The animal feels better, is looked after, and goes home or stays."""
    t.say(
        (
            f"Soon the {pet} felt better.",
            f"After a while the {pet} stood up.",
            f"The {pet} opened its eyes and looked at them.",
        )
    )
    t.say(
        (
            f"Every day they came to see the {pet}.",
            f"They named the {pet} {t.dice.pick(('Star', 'Snow', 'Lucky', 'Sunny'))}.",
            f"The {pet} stayed with {{A.name}} until it was strong.",
        ),
        A=A,
    )
    if t.dice.chance(0.5):
        t.say(
            (
                f"One day the {pet} was strong again and went home.",
                f"From then on the {pet} followed {{A.name}} everywhere.",
                f"Weeks later the {pet} came back to say hello.",
            ),
            A=A,
        )


def cook(t: Teller) -> None:
    """Something is made from things that have to be fetched first."""
    A, B = t.hero, t.friend
    big = elder(t, A.place)
    meal = t.dice.pick(MEALS)
    needs = t.dice.several(INGREDIENTS, 2)
    t.speak(A, (f"Let's make {meal}!", f"Can we make {meal}?", f"I want to make {meal}."), big)
    t.speak(
        big,
        (
            f"We need {needs[0]} and {needs[1]}.",
            f"Good, but there is no {needs[0]} and no {needs[1]}.",
            f"First bring me {needs[0]} and {needs[1]}.",
        ),
    )
    t.paragraph()
    for who, need in zip((A, B), needs, strict=True):
        _bring(t, who, big, need)
    t.paragraph()
    _at_the_stove(t, A, B, big, needs)
    t.say(
        (
            "Then they all sat down and ate.",
            "It tasted sweet and good.",
            "Everyone ate two plates.",
            "Nothing was left in the end.",
        )
    )
    t.speak(
        B,
        (
            "This is the best food in the world!",
            "Can we do it again tomorrow?",
            "I am so full!",
            "We made it together!",
        ),
    )
    evening(t, A, B)


def _bring(t: Teller, who: Person, big: Person, need: str) -> None:
    """From some other place to the grown-up who cooks."""
    home = who.place
    far = t.dice.pick([place for place in t.world.places if place is not home])
    goods = Thing(need, "fresh", "food", need == "eggs")
    t.world.add_thing(goods, t.spot(far, tidy=True))
    t.go(who, far)
    t.act(who, "found some {n} {w}", n=need, w=str(goods.where))
    t.world.take(who, goods)
    t.go(who, home, ("went back to {p}", "ran back to {p}", "came back to {p}"))
    t.world.give(who, big, goods)
    t.act(who, "gave the {n} to {B}", n=need, B=big)
    t.flush()


def _at_the_stove(t: Teller, A: Person, B: Person, big: Person, needs: list[str]) -> None:
    """The last two things brought are used up; everybody waits."""
    t.say(
        (
            "{A} put everything into a big bowl.",
            "{A} put the {a} and the {b} into a pot.",
            "{A} showed them how to do it.",
        ),
        A=big,
        a=needs[0],
        b=needs[1],
    )
    t.say(
        (
            "{A.name} mixed it with a spoon.",
            "{A.name} was allowed to stir.",
            "{A.name} stirred and stirred.",
        ),
        A=A,
    )
    for goods in t.world.things[-2:]:
        goods.where = None
        t.world.log.append(("used", goods.noun))
    if t.dice.chance(0.3):
        t.say(
            (
                "Some flour fell on {A.name}'s nose, and everyone laughed.",
                "{A.name} spilled a little, but that did not matter.",
                "There was a spot on {A.name}'s sleeve.",
            ),
            A=B,
        )
    t.say(
        (
            "Soon it smelled wonderful.",
            "They waited and waited.",
            "At last it was ready.",
            "It was hot, so they had to wait.",
        )
    )
