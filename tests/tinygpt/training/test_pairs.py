"""Gradients of several batches are added in pairs, and old runs go on adding in turn."""

import json

import numpy as np
import pytest

from minigrad import tensor
from minigrad.optim import AdamW
from tests.tinygpt.distributed.training import config, same_bytes, train
from tinygpt.distributed.ranks import even_parts
from tinygpt.runs.run import Run
from tinygpt.training.pairs import GradientsInPairs, additions, copies

ORDERS = {
    1: "1", 2: "(1+2)", 3: "((1+2)+3)", 4: "((1+2)+(3+4))", 5: "(((1+2)+3)+(4+5))",
    7: "(((1+2)+(3+4))+((5+6)+7))",
}


@pytest.mark.parametrize("count", ORDERS)
def test_numbers_are_added_like_a_tournament(count):
    waiting = []
    for number, due in enumerate(additions(count), start=1):
        waiting.append(str(number))
        for _ in range(due):
            right, left = waiting.pop(), waiting.pop()
            waiting.append(f"({left}+{right})")
    assert waiting == [ORDERS[count]]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 8, 9, 16, 33])
def test_as_many_sums_wait_as_a_plan_counts(count):
    weight = tensor(np.zeros(3, np.float32), requires_grad=True)
    sums, most = GradientsInPairs([weight], count), 0
    for _ in range(count):
        kept = len(sums._sums[id(weight)])
        most = max(most, kept + (sums._additions[0] == 0))  # a last gradient is added as it comes
        with sums.backward():
            (weight * 1.0).sum().backward()
    assert most == copies(count)
    assert weight.grad.tolist() == [count] * 3


def test_a_parameter_used_twice_is_added_up_within_its_batch_first():
    big, small = np.float32(2**24), np.float32(1)
    weight = tensor(np.zeros(1, np.float32), requires_grad=True)
    sums = GradientsInPairs([weight], 2)
    for factor in (big, small):
        with sums.backward():
            ((weight * factor) + (weight * small)).sum().backward()
    assert weight.grad[0] == np.float32(big + small) + np.float32(2)  # one by one it is 2^24


def test_what_only_some_batches_reach_has_their_sum_and_what_none_does_has_none():
    used, other, idle = (tensor(np.ones(2, np.float32), requires_grad=True) for _ in range(3))
    heard = []
    sums = GradientsInPairs([used, other, idle], 3, ready=heard.append)
    for k in range(3):
        with sums.backward():
            ((used * 2.0).sum() + ((other * 3.0).sum() if k == 1 else 0.0)).backward()
    assert used.grad.tolist() == [6, 6] and other.grad.tolist() == [3, 3] and idle.grad is None
    assert sorted(map(id, heard)) == sorted(map(id, (used, other, idle)))


def test_a_step_of_one_batch_leaves_the_gradients_where_they_are():
    weight = tensor(np.ones(2, np.float32), requires_grad=True)
    sums = GradientsInPairs(AdamW([weight]).parameters(), 1)
    with sums.backward():
        loss = (weight * weight).sum()
        loss.backward()
        left = weight.grad
    assert weight.grad is left


@pytest.mark.parametrize("count, ranks, right", [
    (4, 2, [2, 2]), (6, 4, [2, 1, 2, 1]), (7, 3, [3, 2, 2]), (5, 4, [2, 1, 1, 1]), (5, 1, [5]),
    (9, 5, [2, 2, 2, 2, 1]),
])
def test_batches_are_dealt_as_even_as_they_go(count, ranks, right):
    assert even_parts(count, ranks) == right


def test_a_run_made_before_goes_on_adding_in_turn(tiny_text, tmp_path):
    asked = config(tiny_text, optimizer="muon", sum_order="turn", steps=6, checkpoint_every=3)
    train(1, tmp_path / "whole", asked)
    old = tmp_path / "old"
    train(1, old, asked, stop_after=3)
    values = json.loads((old / "config.json").read_text())
    del values["training"]["sum_order"], values["sha256"]  # as they were written then
    (old / "config.json").write_text(json.dumps(values))
    assert Run.open(old).config.training.sum_order == "turn"
    train(1, old)
    assert same_bytes(tmp_path / "whole", old)
    train(1, tmp_path / "new", asked.replace("training", sum_order="pairs"))
    assert not same_bytes(tmp_path / "whole", tmp_path / "new")
