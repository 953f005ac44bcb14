"""Tasks: seeded, all different, and right by a reckoning of the test's own."""

import re

import pytest

from tinygpt.text.tasks import TASKS
from tinygpt.text.tasks.couplets import RHYMES


def pairs(name, count=500, seed=0):
    return [(c.messages[0].content, c.messages[1].content) for c in TASKS[name].make(count, seed)]


@pytest.mark.parametrize("name", TASKS)
def test_a_seed_makes_the_same_and_all_are_different(name):
    found = pairs(name)
    assert found == pairs(name) != pairs(name, seed=1)
    assert len(set(found)) == 500
    task = TASKS[name]
    assert all(task.right(c, c.messages[-1].content) for c in task.make(50, 0))
    assert not any(task.right(c, "") or task.right(c, "I do not know.") for c in task.make(50, 0))


def test_sums_are_worked_out_from_the_last_digit():
    for question, answer in pairs("addition"):
        a, b = map(int, question.split(" + "))
        backwards, total = answer.split(" -> ")
        assert int(total) == a + b and backwards == total[::-1]
    with pytest.raises(ValueError, match="200001 of 200000 sums"):
        TASKS["addition"].make(200_001, 0)


def test_sums_are_of_numbers_of_every_length():
    first = [len(question.split(" + ")[0]) for question, _ in pairs("addition", 2000)]
    shares = [first.count(digits) / 2000 for digits in (1, 2, 3)]
    assert min(shares) > 0.25 and len(first) == 2000  # of one digit there are fewer sums


def scenes(count):
    """(sentences, a question, its answer) of every question of so many small worlds."""
    for one in TASKS["world"].make(count, 0):
        *told, _ = re.findall(r"[^.?]+[.?]", one.messages[0].content)
        for asked, answer in zip(one.messages[::2], one.messages[1::2], strict=True):
            yield told, re.findall(r"[^.?]+\?", asked.content)[0], answer.content


def test_all_that_a_small_world_tells_of_is_asked_for_once():
    for one in TASKS["world"].make(200, 1):
        *told, _ = re.findall(r"[^.?]+[.?]", one.messages[0].content)
        moved = {s.split()[0] for s in told if " went to " in s}
        things = {found for s in told for found in re.findall(r"(?:took|gave|put) the (\w+)", s)}
        asked = [re.search(r"Where is (?:the )?(\w+)\?", m.content)[1] for m in one.messages[::2]]
        assert sorted(asked) == sorted(moved | things)


def test_the_worlds_answers_are_what_the_text_says():
    """By the words alone: the last sentence that names what is asked for."""
    for told, question, answer in scenes(400):
        of = question.strip().removeprefix("Where is ").removesuffix("?")
        noun = of.removeprefix("the ")
        if noun == of:  # a person
            place = next(s for s in reversed(told) if s.strip().startswith(f"{of} went to the "))
            assert answer.rstrip(".").split(" the ")[1] == place.rstrip(".").split(" to the ")[1]
            continue
        last = next(s for s in reversed(told) if re.search(rf"\bthe {noun}\b", s)).strip()
        if match := re.fullmatch(rf"(\w+) took the {noun}\.", last):
            assert answer == f"{match[1]} has it."
        elif match := re.fullmatch(rf"\w+ gave the {noun} to (\w+)\.", last):
            assert answer == f"{match[1]} has it."
        else:
            spot = re.fullmatch(rf"\w+ put the {noun} (.*)\.", last)[1]
            assert answer == f"It is {spot}."


def test_a_couplet_must_name_its_thing_and_rhyme():
    conversation = TASKS["couplets"].make(1, 0)[0]
    noun = re.search(r"the (\w+)", conversation.messages[0].content)[1]
    right = TASKS["couplets"].right
    a, b, c = *RHYMES[0][:2], RHYMES[1][0]
    assert right(conversation, f"The {noun} saw the {a},\nand sang about the {b}.")
    assert not right(conversation, f"The {noun} saw the {a},\nand sang about the {c}.")
    assert not right(conversation, f"The {noun} saw the {a},\nand sang about the {a}.")
    assert not right(conversation, f"They saw the {a},\nand sang about the {b}.")
    assert not right(conversation, f"The {noun} saw the {a}, and sang about the {b}.")
