"""Questions at the end of stories: the same for a seed, of every kind, answered by the story."""

import re

import pytest

from tinygpt.text.tasks.closing import questions

KINDS = (
    r"Who had the \w+ now\? .+ did\.", r"Who had the \w+ in the end\? .+ had it\.",
    r"Who had the \w+ in the end\? .+ had them\.", r"Did .+ have the \w+\? No, .+ did\.",
    r"Where was the \w+ now\? It was with .+\.", r"Where were the \w+ now\? They were with .+\.",
    r"Where was the \w+ now\? It was (on|under|in|behind) .+\.",
    r"Where were the \w+ now\? They were (on|under|in|behind) .+\.",
    r"Was the \w+ open\? Yes, it was open\.", r"Was the \w+ open\? No, it was closed\.",
)


def test_a_seed_asks_the_same_and_of_every_kind():
    asked = questions(300)
    assert asked == questions(300) and asked[:5] != questions(5, seed=1)
    last = [q.told.splitlines()[-1] + q.answer for q in asked]
    assert all(any(re.fullmatch(kind, line) for kind in KINDS) for line in last)
    assert all(any(re.fullmatch(kind, line) for line in last) for kind in KINDS)


def test_an_answer_names_somebody_of_the_story_and_there_is_something_to_choose():
    for told, answer, choices in questions(300):
        story, _, question = told.rpartition("\n")
        if question.startswith(("Who", "Did")):
            name = re.sub(r"^ (No, )?| (did|had it|had them)\.$", "", answer)
            assert name[1:] in story  # "the baker" may begin the sentence
            assert choices >= (2 if question.startswith("Who") else 1)


def test_no_question_is_refused():
    with pytest.raises(ValueError, match="at least 1, not 0"):
        questions(0)
