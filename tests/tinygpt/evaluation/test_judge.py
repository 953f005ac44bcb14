"""Judges: agreement beyond chance, both orders, and abstention."""

import numpy as np
import pytest

from minigrad import no_grad
from tests.tinygpt.evaluation.conftest import model_of
from tinygpt.errors import UserError
from tinygpt.evaluation.agreement import kappa
from tinygpt.evaluation.judge import (
    Judge,
    LikelihoodJudge,
    Pair,
    judged,
    known_pairs,
    preferred,
    world_pairs,
)
from tinygpt.inference.prompt import end_ids
from tinygpt.inference.templates import prompt_ids
from tinygpt.runs.chat_form import OWN_TEMPLATE, ChatForm
from tinygpt.tokenizer import END_OF_TEXT, train_bpe

PAIRS = world_pairs(300, seed=5)


class By(Judge):
    """Judges by `rule`: a pair -> a letter."""

    def __init__(self, rule):
        self.rule = rule

    def letters(self, pairs):
        return [self.rule(pair) for pair in pairs]


@pytest.fixture
def chatty():
    """A model, its tokenizer and form; context 48."""
    tokenizer = train_bpe("Where is Ann? In the hall. In the shed. " * 20, 256 + 6 + 30)
    return model_of(tokenizer, context=48), tokenizer, ChatForm(OWN_TEMPLATE, ends=(END_OF_TEXT,))


def truth(pair):
    return pair.truth


def lies(share):
    rng = np.random.default_rng(0)
    wrong = {pair.question for pair in PAIRS if rng.random() < share}

    def rule(pair):
        return pair.swapped().truth if pair.question in wrong else pair.truth

    return rule


def test_who_knows_the_truth_is_trusted():
    found = judged(By(truth), PAIRS)
    assert found.trusted and found.kappa == found.same == 1
    assert found.right == found.said == found.asked == 300


def test_who_always_says_a_abstains_from_everything():
    found = judged(By(lambda pair: "A"), PAIRS)
    assert found.said == 0 and found.same == 0 and not found.trusted
    assert set(found.verdicts) == {""} and "abstains from everything" in str(found)


def test_who_says_nothing_abstains():
    assert judged(By(lambda pair: ""), PAIRS).said == 0


def test_who_is_often_wrong_is_not_trusted_though_steady():
    found = judged(By(lies(0.3)), PAIRS)
    assert found.same == 1 and found.kappa == pytest.approx(0.4, abs=0.1) and not found.trusted
    assert judged(By(lies(0.1)), PAIRS).trusted


def test_who_prefers_the_first_now_and_then_abstains_there():
    rng = np.random.default_rng(1)
    found = judged(By(lambda pair: "A" if rng.random() < 0.2 else pair.truth), PAIRS)
    assert 0.7 < found.same < 0.95 and not found.trusted
    assert found.right == found.said  # what it did not abstain from


def test_kappa_is_agreement_beyond_chance():
    assert kappa([("A", "A"), ("B", "B"), ("A", "B"), ("B", "A")]) == 0
    table = [("A", "A")] * 20 + [("A", "B")] * 5 + [("B", "A")] * 10 + [("B", "B")] * 15
    assert kappa(table) == pytest.approx(0.4)
    assert np.isnan(kappa([]))


def test_pairs_are_fair_and_their_answers_differ():
    assert {pair.truth for pair in PAIRS} == {"A", "B"}
    assert all(pair.a != pair.b for pair in PAIRS)
    assert sum(pair.truth == "A" for pair in PAIRS) in range(110, 190)
    assert PAIRS[0].swapped().swapped() == PAIRS[0]


def test_items_become_pairs_whose_truth_is_known():
    asked = [(f"question {i}", f"answer {i % 4}") for i in range(40)]
    pairs = known_pairs(asked, seed=3)
    right = dict(asked)
    assert all({"A": one.a, "B": one.b}[one.truth] == right[one.question] for one in pairs)
    assert all(one.a != one.b for one in pairs) and {one.truth for one in pairs} == {"A", "B"}
    assert known_pairs([("alone", "one")], 0) == [] == known_pairs([], 0)


def test_preference_counts_wins_ties_and_silence():
    pairs = [Pair("q", "right", "wrong")] * 3 + [Pair("q", "wrong", "right")] * 6
    pairs += [Pair("q", "same", "same"), Pair("q", "odd", "odder")]
    rule = By(lambda pair: "A" if pair.a == "right" else "B" if pair.b == "right" else "A")
    found = preferred(rule, pairs)
    assert (found.a_wins, found.b_wins, found.none) == (3, 6, 2)
    assert found.b.value == pytest.approx(2 / 3) and found.b.low < 0.5 < found.b.high
    with pytest.raises(UserError, match="abstained from all 2"):
        preferred(By(lambda pair: ""), pairs[:2])


def test_a_model_judges_by_what_it_would_sooner_say(chatty):
    model, tokenizer, form = chatty
    judge = LikelihoodJudge(model, tokenizer, form)
    pairs = [Pair("Where is Ann?", "In the hall.", "In the hall."),
             Pair("Where is Ann?", "In the hall.", "In the shed."),
             Pair("Where is Ann?", "In the shed.", "In the hall."),
             Pair("long " * 500, "a" * 400, "b")]
    letters = judge.letters(pairs)
    assert letters[0] == "" == letters[3] and {letters[1], letters[2]} == {"A", "B"}
    by_hand = []
    for text in pairs[1][1:3]:
        prompt = prompt_ids(form, tokenizer, [{"role": "user", "content": pairs[1].question}])
        ids = np.array([*prompt, *tokenizer.encode(text), min(end_ids(tokenizer, form))])
        with no_grad():
            x = model(ids[None, :-1]).data[0].astype(np.float64)
        log_p = x - np.log(np.exp(x).sum(axis=-1, keepdims=True))
        by_hand.append(log_p[np.arange(len(prompt) - 1, len(ids) - 1), ids[len(prompt) :]].sum())
    assert letters[1] == "AB"[int(np.argmax(by_hand))]
