"""The stories keep their promises: seeded, in bounds, grammatical, and true to their own world."""

import re
from collections import Counter

import numpy as np
import pytest

from tinygpt.text import DataError, load_corpus
from tinygpt.text.stories import MAX_WORDS, MIN_WORDS, PLOTS, generate, one_story
from tinygpt.text.stories.teller import Dice

COUNT = 1500


@pytest.fixture(scope="module")
def stories():
    dice = Dice(np.random.default_rng(7))
    return [one_story(dice) for _ in range(COUNT)]


class Replay:
    """A simulator that knows nothing of world.py: plain dictionaries, fed the log's strings."""

    def __init__(self):
        self.person_at, self.thing_at, self.is_open, self.broken = {}, {}, {}, set()

    def place_of(self, thing):
        kind, name = self.thing_at[thing]
        if kind == "held":
            return self.person_at[name]
        return self.place_of(name) if kind == "inside" else name.split(" / ")[1]

    def can_reach(self, person, thing):
        kind, name = self.thing_at[thing]
        if kind == "inside":
            mine = self.thing_at[name] == ("held", person)
            return self.is_open[name] and (mine or self.can_reach(person, name))
        return kind == "spot" and self.place_of(thing) == self.person_at[person]

    def step(self, verb, *rest):
        getattr(self, "do_" + verb)(*rest)

    def do_person(self, name, place):
        self.person_at[name] = place

    def do_thing(self, noun, kind, name, openness):
        self.thing_at[noun] = (kind, name)
        if openness:
            self.is_open[noun] = openness == "open"

    def do_go(self, person, place):
        assert self.person_at[person] != place
        self.person_at[person] = place

    def do_take(self, person, thing):
        assert self.can_reach(person, thing)
        self.thing_at[thing] = ("held", person)

    def do_put(self, person, thing, kind, name):
        assert self.thing_at[thing] == ("held", person)
        if kind == "inside":
            assert self.is_open[name] and self.place_of(name) == self.person_at[person]
        else:
            assert name.split(" / ")[1] == self.person_at[person]
        self.thing_at[thing] = (kind, name)

    def do_give(self, giver, taker, thing):
        assert self.thing_at[thing] == ("held", giver)
        assert self.person_at[giver] == self.person_at[taker]
        self.thing_at[thing] = ("held", taker)

    def do_open(self, person, box):
        assert not self.is_open[box] and self.place_of(box) == self.person_at[person]
        self.is_open[box] = True

    def do_close(self, person, box):
        assert self.is_open[box] and self.place_of(box) == self.person_at[person]
        self.is_open[box] = False

    def do_break(self, person, thing):
        assert thing not in self.broken and self.place_of(thing) == self.person_at[person]
        self.broken.add(thing)

    def do_mend(self, person, thing):
        assert thing in self.broken and self.place_of(thing) == self.person_at[person]
        self.broken.remove(thing)

    def do_eat(self, person, thing):
        assert self.thing_at.pop(thing) == ("held", person)

    def do_used(self, thing):
        del self.thing_at[thing]

    def do_answer(self, fact, thing, where=None):
        if fact in ("open", "closed"):
            assert self.is_open[thing] == (fact == "open")
        else:
            kind = {"has": "held", "in": "inside", "at": "spot"}[fact]
            assert self.thing_at[thing] == (kind, where)


def replayed(story):
    replay = Replay()
    for event in story.world.log:
        replay.step(*event)
    return replay


def test_every_story_replays_in_an_independent_simulator(stories):
    for story in stories:
        replay = replayed(story)
        for thing in story.world.things:
            if thing.where is None:
                assert thing.noun not in replay.thing_at
            else:
                assert replay.thing_at[thing.noun] == story.world.describe(thing.where)
        assert not replay.broken, story.text  # what breaks is mended before the end


def test_closing_questions_are_answered_by_the_replayed_state(stories):
    """Read the question out of the text itself and answer it from the simulator."""
    asked = 0
    for story in stories:
        last = story.text.splitlines()[-1]
        replay = replayed(story)
        if match := re.fullmatch(
            r"Where (?:was|were) the (\w+) now\? (?:It|They) \w+ (.+)\.", last
        ):
            kind, name = replay.thing_at[match[1]]
            answer = match[2]
            if kind == "held":
                assert answer == f"with {name}"
            elif kind == "inside":
                assert answer == f"in the {name}"
            else:
                spot, place = name.split(" / ")
                assert answer.startswith(spot) and answer.endswith(place)
        elif match := re.fullmatch(
            r"Who had the (\w+) (?:now|in the end)\? (.+) (did|had \w+)\.", last
        ):
            assert replay.thing_at[match[1]][1].lower() == match[2].lower()
        elif match := re.fullmatch(r"Did (.+) have the (\w+)\? No, (.+) did\.", last):
            assert replay.thing_at[match[2]] == ("held", match[3]) and match[1] != match[3]
        elif match := re.fullmatch(r"Was the (\w+) open\? (Yes|No), .+", last):
            assert replay.is_open[match[1]] == (match[2] == "Yes")
        else:
            continue
        asked += 1
    assert asked > COUNT // 5


def test_same_seed_same_bytes_and_another_seed_another_text():
    one, two, other = (
        "\n".join(generate(50_000, np.random.default_rng(seed))) for seed in (3, 3, 4)
    )
    assert one == two != other


def test_size_is_reached_and_not_overshot_by_more_than_a_story():
    text = "".join(story + "\n" for story in generate(200_000, np.random.default_rng(0)))
    assert 200_000 <= len(text) < 202_500
    assert text.isascii()


def test_stories_have_60_to_250_words_and_hardly_repeat(stories):
    lengths = [len(story.text.split()) for story in stories]
    assert min(lengths) >= MIN_WORDS and max(lengths) <= MAX_WORDS
    assert len({story.text for story in stories}) == COUNT


def test_every_plot_occurs_about_equally_often(stories):
    counts = Counter(story.plot for story in stories)
    assert set(counts) == {plot.__name__ for plot in PLOTS}
    assert min(counts.values()) > COUNT / len(PLOTS) / 2


def test_vocabulary_is_small_and_closed(stories):
    words = Counter(w for s in stories for w in re.findall(r"[a-z]+", s.text.lower()))
    assert 700 < len(words) < 1500


def test_surface_is_clean(stories):
    """Nothing unfilled, no doubled words or spaces, capitals and full stops where they belong."""
    for story in stories:
        assert not re.search(r"[{}]|  |\bNone\b", story.text), story.text
        assert not re.search(r"\b(\w+) \1\b", story.text), story.text
        assert story.text.count('"') % 2 == 0, story.text
        for paragraph in story.text.splitlines():
            assert re.match(r'"?[A-Z]', paragraph), paragraph
            assert re.search(r'[.!?]"?$', paragraph), paragraph
        assert not re.search(r"[.!?] [a-z]", re.sub(r'"[^"]*"', '""', story.text)), story.text


def test_articles_agree_with_the_next_word(stories):
    for story in stories:
        assert not re.search(r"\b[Aa] [aeiou]", story.text), story.text
        assert not re.search(r"\b[Aa]n [^aeiou]", story.text), story.text


def test_number_agrees_with_the_verb(stories):
    """A plural thing takes were/are/they, a singular one was/is/it."""
    for story in stories:
        for thing in story.world.things:
            wrong = ("was", "is") if thing.plural else ("were", "are")
            pattern = (
                rf"(?<![Ii]n )(?<!to )[Tt]he (?:{thing.look} )?{thing.noun} (?:{'|'.join(wrong)})\b"
            )
            assert not re.search(pattern, story.text), story.text


def test_no_pronoun_follows_a_particle_verb(stories):
    for story in stories:
        assert not re.search(r"\b(picked up|gave \w+) (it|them)\b(?! to)", story.text), story.text


def test_nonsense_sizes_are_refused():
    with pytest.raises(ValueError, match="at least 1 byte"):
        next(generate(0, np.random.default_rng(0)))
    with pytest.raises(DataError, match="stories_mb"):
        load_corpus("stories", stories_mb=0)
