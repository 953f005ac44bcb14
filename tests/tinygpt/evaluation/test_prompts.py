"""What a prompt is worth: one table over templates, shots and orders."""

import json

import numpy as np
import pytest

from tests.tinygpt.evaluation.test_multiple_choice import Told
from tests.tinygpt.evaluation.test_suites import hash_of
from tinygpt.errors import UserError
from tinygpt.evaluation.prompts import spread, table
from tinygpt.evaluation.questions import read_questions


@pytest.fixture
def questions(tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_text("".join(json.dumps({
        "question": f"what is {i}?", "choices": [f"yes {i}", f"no {i}", f"so {i}"], "answer": i % 3,
    }) + "\n" for i in range(80)))
    return read_questions(path).questions


def likes(context, answer):
    """Knows the answer to most questions where it saw examples, and guesses where it saw none."""
    shots = context.count("what is") - 1
    last = context.rsplit("what is ", 1)[-1].split("?")[0]
    noise = -10 * hash_of(context + answer)
    if not last or shots < 1 or hash_of(last) > 0.9:
        return noise
    return noise + 20 * (answer.split()[0] == ("yes", "no", "so")[int(last) % 3])


def test_every_way_is_asked_the_same_questions(questions):
    cells = list(table(Told(likes), questions, ["question", "short"], (0, 3), orders=2))
    assert [(c.template, c.shots, c.order) for c in cells] == [
        ("question", 0, 0), ("question", 3, 0), ("question", 3, 1),
        ("short", 0, 0), ("short", 3, 0), ("short", 3, 1)]
    assert {c.accuracy.clusters for c in cells} == {77}
    assert cells[1].accuracy.value > 0.85 and cells[1].against.seen
    assert not cells[0].against.seen and not cells[3].against.seen
    assert "the prompt is worth" in spread(cells) and "of 6 ways surely differ" in spread(cells)


def test_a_way_that_cannot_be_asked_says_why(questions):
    cells = list(table(Told(lambda context, answer: 0.0), questions, ["short"], (0,)))
    assert cells[0].accuracy is None and "no accuracy" in cells[0].refused
    assert "Too few ways" in spread(cells)


def test_more_examples_than_questions_is_an_error(questions):
    with pytest.raises(UserError, match="leave none to ask"):
        list(table(Told(likes), questions, ["short"], (80,)))
    assert np.isfinite(likes("what is 1?", " yes 1"))
