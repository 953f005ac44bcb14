"""Plots about friends: sharing, a stranger, a quarrel.

Read next: helpers.py.
"""

from __future__ import annotations

from .. import words
from ..scenes import an, elder, evening, feel, moral, thanks
from ..teller import Teller
from ..world import Person, Thing


def share(t: Teller) -> None:
    """One has food, the other is hungry."""
    A, B = t.hero, t.friend
    food = t.thing("food", A, A)
    t.say(
        (
            "{A} had {t.a} for lunch.",
            "{A} had brought {t.a}.",
            "In {A.his} bag {A.name} had {t.a}.",
        ),
        A=A,
        t=food,
    )
    t.say(
        (
            "{A} had nothing to eat.",
            "{A} had lost {A.his} lunch.",
            "{A} was very hungry, but {A.he} had no food.",
            "{A} had left {A.his} lunch at home.",
        ),
        A=B,
    )
    feel(t, B, "sad", "{A.he} had nothing to eat")
    if t.dice.chance(0.35):
        _refuse(t, A, B, food)
    t.paragraph()
    t.speak(
        A,
        ("You can have mine.", "Here, we can share.", "Are you hungry? Take some.", "Let's share."),
        B,
    )
    t.give(A, B, food)
    if t.dice.chance(0.7):
        t.eat(B, food)
        t.flush()
        t.say(("It tasted very good.", "Not a crumb was left.", "How good it was!"))
    t.flush()
    thanks(t, B, A)
    if t.dice.chance(0.5):
        _give_in_return(t, A, B)
    feel(t, A, "happy")
    moral(
        t,
        "Sharing made both of them happy.",
        "It is better to share than to eat alone.",
        "A friend who shares is a good friend.",
    )
    evening(t, A, B)


def _refuse(t: Teller, A: Person, B: Person, food: Thing) -> None:
    """B asks, A wants it all, and soon is sorry."""
    t.speak(B, ("May I have a bite?", "Can I have a little?", "Will you share with me?"), A)
    t.speak(
        A,
        ("No, I want to eat it all!", "No, it is mine!", "No!")
        if not food.plural
        else "No, they are mine!",
    )
    t.act(B, ("walked away", "said nothing and turned away", "sat down alone"))
    t.flush()
    feel(t, A, "sorry", "{B} looked so sad", B=B)


def _give_in_return(t: Teller, A: Person, B: Person) -> None:
    """B has something for A, too."""
    gift = t.thing(t.dice.pick(("treasure", "toy")), B, B)
    t.say(
        ("Then {A} had an idea.", "{A} thought for a moment.", "{A} looked into {A.his} bag."),
        A=B,
    )
    t.say("{A.name} had {t.a}.", A=B, t=gift)
    t.speak(
        B,
        ("This is for you.", "I have something for you, too.", "Now I will share with you."),
        A,
    )
    t.give(B, A, gift)
    t.flush()


def new_friend(t: Teller) -> None:
    """A stranger is shy, until somebody asks."""
    A, B = t.hero, t.friend
    C = _stranger(t)
    _first_words(t, A, B, C)
    t.paragraph()
    owner, toy = _play_of_three(t, A, C)
    if t.dice.chance(0.6):
        receiver = C if owner is A else A
        t.give(owner, receiver, toy)
        t.flush()
        t.speak(
            owner,
            ("You can keep {t.them}.", "Take {t.them} home today.", "{t.It} {t.is_} for you."),
            receiver,
            t=toy,
        )
    moral(
        t,
        "Now they were three friends.",
        "A kind word is all it takes.",
        "{A.name} had made a new friend.",
        A=A,
    )
    evening(t, A, C)


def _stranger(t: Teller) -> Person:
    """Somebody new at the hero's place: an animal among animals, a child among children."""
    A, B = t.hero, t.friend
    she = t.dice.chance(0.5)
    if A.kind not in ("girl", "boy"):
        pool = words.SHE_ANIMALS if she else words.HE_ANIMALS
        kind = t.dice.pick([k for k in words.ANIMALS if k not in (A.kind, B.kind)])
    else:
        pool = words.GIRLS if she else words.BOYS
        kind = "girl" if she else "boy"
    name = t.dice.pick([n for n in pool if n not in (A.name, B.name)])
    C = Person(name, kind, she, A.place)
    t.world.add_person(C)
    return C


def _first_words(t: Teller, A: Person, B: Person, C: Person) -> None:
    """C stands there, B wonders, A asks, C answers."""
    kind, he = C.kind, C.pronouns[0]
    where = t.spot(A.place, hidden=True)
    t.say(
        (
            f"A new {kind} stood {{w}}.",
            f"There was {an(kind)} {{w}} whom they did not know.",
            f"{{A.name}} saw {an(kind)} {{w}}.",
        ),
        A=A,
        w=str(where) if where.prep != "in" else "alone",
    )
    t.say(
        (
            "{h} looked sad and did not say a word.",
            "{h} only looked at the ground.",
            "{h} was shy and had no one to play with.",
        ),
        h=he.capitalize(),
    )
    asks = ("Who is that?", "I do not know that {k}.", "Why does {he} not come to us?")
    t.speak(B, asks, A, k=kind, he=he)
    t.say(
        (
            "{A.name} went over and smiled.",
            "{A.name} remembered how it was to be new.",
            "{A.name} was not shy at all.",
        ),
        A=A,
    )
    hello = (
        "Hello! What is your name?", "Hi, I am {me}. Who are you?", "Do you want to play with us?",
    )  # fmt: skip
    t.speak(A, hello, me=A.name)
    t.speak(C, ("My name is {me}.", "I am {me}. I am new here.", "{me} is my name."), me=C.name)


def _play_of_three(t: Teller, A: Person, C: Person) -> tuple[Person, Thing]:
    """A game with a toy that A or C has brought.  Returns its owner and the toy."""
    toy = t.thing("toy", t.dice.pick((A, C)))
    toy.owner = owner = toy.holder
    t.say(
        ("{A} had {t.a} with {A.him}.", "{A} took out {t.a}.", "{A} showed them {t.a}."),
        A=owner,
        t=toy,
    )
    game = t.dice.pick(words.GAMES)
    t.speak(
        owner,
        ("We can all play with {t.them}.", "Do you like my {t.noun}?", f"Let's play {game}!"),
        t=toy,
    )
    t.say(
        (
            "The three of them played all day.",
            f"They played {game}, and {{C.name}} laughed for the first time.",
            "{C.name} was very good at it.",
            "Soon {C.name} was not shy at all.",
        ),
        C=C,
    )
    return owner, toy


def quarrel(t: Teller) -> None:
    """Two want the same thing; they find a way."""
    A, B = t.hero, t.friend
    thing = t.thing("toy", t.spot(A.place))
    t.say(
        (
            "There {t.was} {t.a} {w}.",
            "{w} {A.name} and {B.name} saw {t.a}.",
            "Both of them saw {t.a} {w}.",
        ),
        A=A,
        B=B,
        t=thing,
        w=str(thing.where),
    )
    t.speak(A, ("I saw {t.them} first!", "I want {t.them}!", "{t.It} {t.is_} mine!"), t=thing)
    t.take(A, thing)
    t.flush()
    t.speak(B, ("Me, too! Me, too!", "That is not fair!", "I want to play, too!"))
    t.say(
        (
            "They pulled and shouted.",
            "They were both very loud.",
            "Soon they were not friends any more.",
        )
    )
    feel(t, B, "angry", "{B} did not share", B=A)
    t.paragraph()
    way = t.dice.pick((_take_turns, _elder_decides, _come_after))
    way(t, A, B, thing)
    t.say(
        (
            "They played together until evening.",
            "Then both of them laughed.",
            "Now there was no more shouting.",
        )
    )
    if way is not _elder_decides:
        t.speak(B, ("Thank you!", "Now I am happy again.", "You are my best friend."))
    moral(t, "A thing can be shared, but a friend cannot be replaced.", "Taking turns is fun.")
    evening(t, A, B)


def _take_turns(t: Teller, A: Person, B: Person, thing: Thing) -> None:
    """A way out of a quarrel: B first, then perhaps A again."""
    t.say("Then {A.name} had an idea.", A=A)
    turns = ("Let's take turns. You go first.", "You can have a turn now, and then I have one.")
    t.speak(A, turns, B)
    t.give(A, B, thing)
    t.flush()
    if t.dice.chance(0.5):
        t.say("After a while it was {A.name}'s turn.", A=A)
        t.give(B, A, thing)
        t.flush()


def _elder_decides(t: Teller, A: Person, B: Person, thing: Thing) -> None:
    """A way out of a quarrel: a grown-up takes it until both are sorry."""
    big = elder(t, A.place)
    t.say("{A.name} heard them and came.", A=big)
    t.speak(
        big,
        (
            "Give me the {n}.",
            "Then no one can have the {n}.",
            "I will keep the {n} until you are friends again.",
        ),
        n=thing.noun,
    )
    t.give(A, big, thing)
    t.flush()
    feel(t, A, "sorry")
    t.speak(A, "I am sorry.", B)
    t.speak(B, ("I am sorry, too.", "Let's be friends again."))
    if t.dice.chance(0.6):
        t.give(big, t.dice.pick((A, B)), thing)
        t.flush()


def _come_after(t: Teller, A: Person, B: Person, thing: Thing) -> None:
    """A way out of a quarrel: B walks off, and A, alone with the toy, follows."""
    far = t.dice.pick([place for place in t.world.places if place is not A.place])
    t.go(B, far)
    t.flush()
    feel(t, A, "lonely", "{B} was not there", B=B)
    t.say(("It was no fun to play alone.", "{t.the} {t.was} boring without a friend."), t=thing)
    t.go(A, far)
    t.flush()
    t.speak(
        A,
        (
            "I am sorry. Here, you can have {t.them}.",
            "Please play with me again.",
            "A friend is better than a toy.",
        ),
        B,
        t=thing,
    )
    t.give(A, B, thing)
    t.flush()
