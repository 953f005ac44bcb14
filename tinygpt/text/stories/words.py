"""The small world's dictionary: who lives in it, which things lie about, which places there are.

About a thousand words in all, closed on purpose: a model of a million parameters sees each of them
hundreds of times in two minutes of training, so that what it prints can be judged as language.
Verbs stand in the sentences themselves (teller.py, plots/), already in the past tense.

Read next: world.py (what can happen), teller.py (how it is told).
"""

from __future__ import annotations

from typing import NamedTuple


class Place(NamedTuple):
    """Somewhere to be: "in the kitchen", with fixtures things can lie on, in, under or behind."""

    prep: str
    name: str
    fixtures: tuple[tuple[str, tuple[str, ...]], ...]

    @property
    def at(self) -> str:
        return f"{self.prep} {self.name}"


_ATLAS = """
home
  in kitchen: table on under, cupboard in behind, chair on under, stove behind
  in bedroom: bed on under, shelf on, closet in, pillow under behind
  in garden: tree under behind, bench on under, bush behind under, wall on behind
  in living room: sofa on under behind, curtain behind, rug on under, window under
  in yard: gate behind, swing on under, ladder under behind, bucket in behind
farm
  in barn: hay in under, ladder under behind, cart in under, bucket in behind
  in field: fence on behind, rock on behind, tree under behind, tall grass in
  by pond: log on behind, boat in under, willow under behind, stone under behind
  in farmhouse: table on under, stove behind, shelf on, chair on under
  in orchard: apple tree under behind, basket in behind, wall on behind, cart in under
forest
  in forest: old oak under behind, bush behind under, log on in behind, fern under behind
  by river: rock on behind, bridge on under, willow under behind, boat in under
  on hill: stone on behind, tall grass in, pine under behind, bench on under
  in cave: rock on behind, big stone under behind, leaves in under
  in cottage: table on under, bed on under, shelf on, fireplace behind
town
  in park: bench on under, tree under behind, slide on under, statue behind
  at school: desk on in under, door behind, shelf on, chair on under
  at market: stall on under behind, crate in behind, cart in under, wall on behind
  in bakery: counter on under behind, oven behind, shelf on, table on under
  in library: desk on in under, shelf on behind, chair on under, rug on under
sea
  on beach: rock on behind, towel on under, boat in under, sand in
  in lighthouse: stairs on under, window under, table on under, shelf on
  at harbor: boat in under, net in under, barrel in behind, crate in behind
  in cabin: bed on under, table on under, stove behind, chest in behind
  in cave: rock on behind, big stone under behind, sand in
"""
PREPOSITIONS = ("on", "in", "under", "behind")


def _read_atlas() -> dict[str, tuple[Place, ...]]:
    """Each line of the atlas, "in park: old oak under behind, ...", as a Place of its setting."""
    settings: dict[str, list[Place]] = {}
    for line in _ATLAS.strip().splitlines():
        if not line.startswith(" "):
            places = settings[line] = []
            continue
        where, fixtures = line.strip().split(": ")
        prep, name = where.split(" ", 1)
        parsed = []
        for fixture in map(str.split, fixtures.split(", ")):
            noun = " ".join(word for word in fixture if word not in PREPOSITIONS)
            parsed.append((f"the {noun}", tuple(w for w in fixture if w in PREPOSITIONS)))
        places.append(Place(prep, f"the {name}", tuple(parsed)))
    return {setting: tuple(places) for setting, places in settings.items()}


SETTINGS = _read_atlas()
INDOORS = (
    "the kitchen", "the bedroom", "the living room", "the barn", "the farmhouse", "the cottage",
    "the school", "the bakery", "the library", "the lighthouse", "the cabin", "the cave",
)  # fmt: skip
REGIONS = {
    "home": "in a small house", "farm": "on a farm", "forest": "near a big forest",
    "town": "in a little town", "sea": "by the sea",
}  # fmt: skip

GIRLS = (
    "Anna Lily Mia Rosa Emma Nora Ella Sara Ruby Zoe Lucy Maya Ivy Clara Jane Amy Kate Nina".split()
)
BOYS = (
    "Tom Ben Max Sam Leo Finn Jack Noah Owen Theo Hugo Peter Adam Luke Oscar Eli Dan Milo".split()
)
SHE_ANIMALS = "Hazel Daisy Coco Poppy Willa Dot Tansy Mimi".split()
HE_ANIMALS = "Pip Rusty Bruno Otto Teddy Gus Barney Fritz".split()
ANIMALS = "rabbit bear fox mouse duck cat dog owl hedgehog squirrel frog goat".split()
GROWN_UPS: dict[str, tuple[tuple[str, bool], ...]] = {
    "home": (("Mother", True), ("Father", False), ("Grandma", True), ("Grandpa", False)),
    "farm": (("the farmer", False), ("Grandma", True), ("Father", False), ("Aunt May", True)),
    "forest": (("Grandpa", False), ("the old woman", True), ("Mother", True), ("Uncle Joe", False)),
    "town": (("the baker", False), ("the teacher", True), ("Mother", True), ("Grandpa", False)),
    "sea": (("the captain", False), ("Aunt May", True), ("Uncle Joe", False), ("Grandma", True)),
}  # fmt: skip

COLORS = "red blue green yellow white black brown purple orange silver".split()
LOOKS = {
    "toy": [*COLORS, "new", "little", "wooden", "shiny", "pretty", "old"],
    "cloth": [*COLORS, "warm", "soft", "new", "thick"],
    "treasure": ["shiny", "golden", "silver", "old", "pretty", "tiny", "magic", "strange"],
    "food": ["big", "sweet", "fresh", "warm", "small"],
    "tool": ["old", "small", "strong", "new", "long"],
    "box": ["wooden", "big", "small", "old", "heavy", *COLORS[:5]],
}
SINGULAR = {
    "toy": "ball kite doll drum boat train top puppet bear robot car truck puzzle hoop".split(),
    "cloth": "hat scarf coat blanket cap ribbon sweater bag".split(),
    "treasure": "coin key shell ring bell feather stone crown map lantern whistle button".split(),
    "food": "apple pear cake pie sandwich cookie carrot peach muffin bun".split(),
    "tool": "rope hammer spoon brush shovel ladder broom pot cup net".split(),
    "box": "box chest basket jar".split(),
}
PLURAL = {
    "toy": "blocks marbles crayons cards".split(),
    "cloth": "boots gloves socks mittens".split(),
    "treasure": "shells beads pebbles".split(),
    "food": "berries cherries nuts cookies plums grapes".split(),
}
FRAGILE = (
    "cup", "jar", "pot", "doll", "drum", "train", "puppet", "robot", "boat", "whistle", "lantern",
    "kite", "car", "truck",
)  # fmt: skip
FLYERS = ("kite", "ball", "hat", "cap", "hoop", "feather", "ribbon")

CHILD_TRAITS = (
    "kind brave curious clever quiet cheerful shy gentle funny careful proud lively".split()
)
LIKES = (
    "to sing", "to draw", "to read", "to run", "to climb trees", "to dance", "to swim", "to paint",
    "to help", "to look at the stars", "to pick flowers", "to tell stories", "to jump in puddles",
    "to watch the birds", "to play outside", "to build things", "to cook", "to ask questions",
)  # fmt: skip
WEATHER = {
    "sunny": ("the sun was shining", "the sky was blue", "the birds were singing"),
    "windy": ("the wind was blowing", "the leaves were dancing in the wind", "the clouds ran fast"),
    "rainy": ("it was raining", "rain fell on the roof", "the sky was gray"),
    "snowy": ("snow lay on the ground", "it was cold outside", "white snow fell from the sky"),
    "warm": ("the air was warm", "bees were in the flowers", "the sun was warm"),
    "cold": ("the air was cold", "there was ice on the puddles", "the wind was cold"),
}
TIMES = ("morning", "afternoon", "day", "evening")
FOUND_INSTEAD = (
    "an old sock", "a sleeping cat", "a spider", "some dust", "a dry leaf", "a small bug",
    "nothing at all", "a broken pencil", "a piece of paper", "a bit of string", "a snail",
)  # fmt: skip
GAMES = ("tag", "hide and seek", "a guessing game", "catch", "a new game", "pirates", "house")
