"""Judges: agreement beyond chance, both orders, and abstention."""

import numpy as np
import pytest

from tinygpt.evaluation.agreement import kappa
from tinygpt.evaluation.judge import Judge, judged, leave_lessons, world_pairs
from tinygpt.text.conversations import read_conversations

PAIRS = world_pairs(300, seed=5)


class By(Judge):
    """Judges by `rule`: the asked text -> a letter."""

    def __init__(self, rule):
        self.rule = rule

    def letters(self, asked):
        return [self.rule(one) for one in asked]


TRUTH = {pair.asked(s): pair.letter(s) for pair in PAIRS for s in (False, True)}


def lies(share):
    rng = np.random.default_rng(0)
    wrong = {pair.question for pair in PAIRS if rng.random() < share}

    def rule(asked):
        letter = TRUTH[asked]
        question = asked.partition(" A: ")[0]
        return ("B" if letter == "A" else "A") if question in wrong else letter

    return rule


def test_who_knows_the_truth_is_trusted():
    found = judged(By(TRUTH.get), PAIRS)
    assert found.trusted and found.kappa == found.same == 1
    assert found.right == found.said == found.asked == 300


def test_who_always_says_a_abstains_from_everything():
    found = judged(By(lambda asked: "A"), PAIRS)
    assert found.said == 0 and found.same == 0 and not found.trusted
    assert set(found.verdicts) == {""} and "abstains from everything" in str(found)


def test_who_says_nothing_abstains():
    assert judged(By(lambda asked: ""), PAIRS).said == 0


def test_who_is_often_wrong_is_not_trusted_though_steady():
    found = judged(By(lies(0.3)), PAIRS)
    assert found.same == 1 and found.kappa == pytest.approx(0.4, abs=0.1) and not found.trusted
    assert judged(By(lies(0.1)), PAIRS).trusted


def test_who_prefers_the_first_now_and_then_abstains_there():
    rng = np.random.default_rng(1)
    found = judged(By(lambda asked: "A" if rng.random() < 0.2 else TRUTH[asked]), PAIRS)
    assert 0.7 < found.same < 0.95 and not found.trusted
    assert found.right == found.said  # what it did not abstain from


def test_kappa_is_agreement_beyond_chance():
    assert kappa([("A", "A"), ("B", "B"), ("A", "B"), ("B", "A")]) == 0
    table = [("A", "A")] * 20 + [("A", "B")] * 5 + [("B", "A")] * 10 + [("B", "B")] * 15
    assert kappa(table) == pytest.approx(0.4)
    assert np.isnan(kappa([]))


def test_pairs_are_fair_and_their_answers_differ():
    assert {pair.first for pair in PAIRS} == {"right", "wrong"}
    assert all(pair.right != pair.wrong for pair in PAIRS)
    assert sum(pair.letter() == "A" for pair in PAIRS) in range(110, 190)
    assert all(pair.asked().endswith(f"B: {pair.wrong}") == (pair.letter() == "A")
               for pair in PAIRS)


def test_lessons_are_conversations_that_end_with_the_letter(tmp_path):
    leave_lessons(tmp_path / "lessons.jsonl", 20, seed=1)
    for one in read_conversations(tmp_path / "lessons.jsonl"):
        question, answer = (message.content for message in one.messages)
        right, letter = answer[:-2], answer[-1]
        assert f"{letter}: {right}" in question
