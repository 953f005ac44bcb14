"""How a story begins and ends, and the small scenes that many plots share.

`make_world` casts the story, `open_story` introduces it, `closing_question` asks about the state at
the end. The rest is said in many plots: feelings, thanks, a search, the evening.

Read next: plots/things.py.
"""

from __future__ import annotations

from . import words
from .teller import FINDS, Dice, Teller
from .world import Person, Thing, World

FEELS = {
    "sad": ("felt sad", "was very sad", "began to cry", "sat down and cried a little"),
    "happy": ("was happy", "smiled", "laughed", "felt very happy", "clapped and laughed"),
    "angry": ("was angry", "felt angry", "stamped a foot"),
    "worried": ("was worried", "felt worried", "did not know what to do"),
    "scared": ("was scared", "felt afraid", "stood very still"),
    "proud": ("was proud", "felt proud", "was very proud"),
    "tired": ("was tired", "felt sleepy", "yawned"),
    "sorry": ("was sorry", "felt sorry", "looked down"),
    "surprised": ("was surprised", "could not believe it", "stared"),
    "curious": ("was curious", "wanted to know what it was", "looked closer"),
    "lonely": ("was lonely", "felt alone"),
}


def an(noun: str) -> str:
    """A noun with "a" or "an"."""
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def make_world(dice: Dice) -> Teller:
    """A setting with three or four of its places, a hero and a friend in one of them."""
    setting = dice.pick(tuple(words.SETTINGS))
    everywhere = words.SETTINGS[setting]
    outdoors = dice.pick([place for place in everywhere if place.name not in words.INDOORS])
    others = [place for place in everywhere if place is not outdoors]
    places = (outdoors, *dice.several(others, 2 + int(dice.random() * 2)))
    teller = Teller(World(places), setting, dice)
    animals = dice.chance(0.75 if setting == "forest" else 0.2)
    start = dice.pick(places)
    teller.hero = _newcomer(teller, start, animals)
    teller.friend = _newcomer(teller, start, animals)
    return teller


def _newcomer(t: Teller, place: words.Place, animal: bool) -> Person:
    she = t.dice.chance(0.5)
    if animal:
        pool = words.SHE_ANIMALS if she else words.HE_ANIMALS
        kinds = [k for k in words.ANIMALS if all(k != p.kind for p in t.world.people)]
        kind = t.dice.pick(kinds)
    else:
        pool, kind = (words.GIRLS, "girl") if she else (words.BOYS, "boy")
    used = {person.name for person in t.world.people}
    name = t.dice.pick([name for name in pool if name not in used])
    person = Person(name, kind, she, place, trait=t.dice.pick(words.CHILD_TRAITS))
    t.world.add_person(person)
    return person


def elder(t: Teller, place: words.Place) -> Person:
    """A grown-up who belongs to the setting; made once."""
    for person in t.world.people:
        if person.grown_up:
            return person
    name, she = t.dice.pick(words.GROWN_UPS[t.setting])
    person = Person(name, "grown-up", she, place, grown_up=True)
    t.world.add_person(person)
    return person


def outside(t: Teller) -> None:
    """The two go out, unless they are outdoors already."""
    if t.hero.place.name in words.INDOORS:
        t.go_together(t.hero, t.friend, t.world.places[0])


def open_story(t: Teller) -> None:
    """Who the story is about, when and where it begins, and who else is there."""
    A, B, dice = t.hero, t.friend, t.dice
    like = dice.pick(words.LIKES)
    t.say(
        (
            "Once upon a time there was a {trait} {k} named {A.name}.",
            "There was once a {trait} {k} called {A.name}.",
            "{A.name} was a {trait} little {k} who liked {like}.",
            "{A.name} was {k_an}, and {A.he} was very {trait}.",
            "Long ago, a {trait} {k} named {A.name} lived {p}.",
        ),
        A=A,
        trait=A.trait,
        k=A.kind,
        k_an=an(A.kind),
        like=like,
        p=words.REGIONS[t.setting],
    )
    if dice.chance(0.45):
        t.say(
            ("{A} liked {like}.", "Every day {A} liked {like}.", "{A} loved {like}."),
            A=A,
            like=dice.pick([other for other in words.LIKES if other != like]),
        )
    kind = dice.pick(tuple(words.WEATHER))
    time = dice.pick(words.TIMES)
    here = A.place
    t.say(
        (
            "One {kind} {time}, {A.name} was {here} with {A.his} friend {B.name}.",
            "One {time}, {A.name} and {B.name} were {here}.",
            "It was a {kind} {time}, and {A.name} was {here} with {B.name}.",
            "One {kind} {time} {A.name} met {A.his} friend {B.name} {here}.",
        ),
        A=A,
        B=B,
        kind=kind,
        time=time,
        here=here.at,
    )
    if dice.chance(0.3):
        t.say("{B.name} was a {trait} {k}.", B=B, trait=B.trait, k=B.kind)
    elif B.kind in words.ANIMALS and dice.chance(0.7):
        t.say("{B.name} was {k}.", B=B, k=an(B.kind))
    if dice.chance(0.35) and here.name not in ("the cave", "the closet"):
        t.say(dice.pick(words.WEATHER[kind]) + ".")
    if dice.chance(0.8):
        t.paragraph()


def feel(t: Teller, A: Person, mood: str, because: str = "", /, **refs: object) -> None:
    """A's mood, with its cause when there is one to name."""
    phrase = t.dice.pick(FEELS[mood])
    if because and t.dice.chance(0.6):
        phrase = f"was {mood} because {because}"
    t.say("{A} " + phrase + ".", A=A, **refs)


def thanks(t: Teller, A: Person, B: Person) -> None:
    """A thanks B, who sometimes answers."""
    lines = ["Thank you!", "Thank you so much!", "You are very kind.", "Thank you for your help."]
    if not B.name.startswith("the "):
        lines += [f"Thank you, {B.name}!", f"You are a good friend, {B.name}."]
    t.speak(A, t.dice.pick(lines))
    if t.dice.chance(0.35):
        t.speak(B, ("You are welcome.", "I like to help.", "That is what friends do."))


def search(t: Teller, A: Person, thing: Thing) -> None:
    """A looks in wrong spots first, then goes to the right place and finds the thing there."""
    target = thing.spot
    for _ in range(1 + int(t.dice.random() * 2)):
        spot = t.spot()
        if spot == target:
            continue
        t.go(A, spot.place)
        t.act(A, "looked {w}", w=str(spot))
        t.flush()
        t.say(
            (
                "There was {x}, but no {t.noun}.",
                "{A} saw only {x}.",
                "{A} found {x} there.",
                "But {t.the} {t.was} not there.",
            ),
            A=A,
            x=t.dice.pick(words.FOUND_INSTEAD),
            t=thing,
        )
    t.go(A, target.place)
    t.flush()
    t.say(t.dice.pick(FINDS), A=A, t=thing, w=str(target))


def evening(t: Teller, A: Person, B: Person) -> None:
    """A last sentence that fits any story."""
    t.paragraph()
    t.say(
        (
            "From that day on, {A.name} and {B.name} were good friends.",
            "That night {A.name} slept very well.",
            "{A.name} and {B.name} played {game} until it was dark.",
            "When the stars came out, {A.name} and {B.name} went home.",
            "{A.name} told everyone about it at home.",
            "It was a good day.",
            "It was the best day of the week.",
            "{A.name} never forgot that day.",
            "Then it was time to go home, and both of them were happy.",
            "In the evening {A.name} sat by the window and smiled.",
            "{A.name} and {B.name} laughed about it for a long time.",
        ),
        A=A,
        B=B,
        game=t.dice.pick(words.GAMES),
    )


def moral(t: Teller, /, *lines: str, **refs: object) -> None:
    """What was learned, in some stories."""
    if t.dice.chance(0.6):
        t.say(t.dice.pick(lines), **refs)


def closing_question(t: Teller) -> None:
    """Sometimes a question about the state at the end, answered from the state."""
    t.flush()
    things = [thing for thing in t.world.things if thing.where is not None]
    if not things or not t.dice.chance(0.4):
        return
    t.paragraph()
    thing = t.dice.pick(things)
    it, them, was = ("they", "them", "were") if thing.plural else ("it", "it", "was")
    log, noun = t.world.answer, thing.noun
    if thing.is_open is not None and t.dice.chance(0.5):
        log("open" if thing.is_open else "closed", noun)
        yes, other = ("Yes", "open") if thing.is_open else ("No", "closed")
        t.say(f"Was the {noun} open? {yes}, {it} was {other}.")
    elif isinstance(thing.where, Person):
        holder = thing.where.name
        log("has", noun, holder)
        rivals = [person.name for person in t.world.people if person is not thing.where]
        t.say(
            (
                f"Who had the {noun} now? {_cap(holder)} did.",
                f"Who had the {noun} in the end? {_cap(holder)} had {them}.",
                f"Did {t.dice.pick(rivals)} have the {noun}? No, {holder} did.",
                f"Where {was} the {noun} now? {_cap(it)} {was} with {holder}.",
            )
        )
    else:
        t.say(f"Where {was} the {noun} now? {_cap(it)} {was} {t.where(thing)}.")


def _cap(text: str) -> str:
    return text[0].upper() + text[1:]
