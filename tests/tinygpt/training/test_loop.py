"""The loop and its step on a model small enough to work out by hand: y = w x, loss (w x)^2 / 2."""

from typing import NamedTuple

import numpy as np
import pytest

from minigrad import nn, optim
from tinygpt.runs.metrics import StepMetrics
from tinygpt.training.loop import train
from tinygpt.training.state import TrainState
from tinygpt.training.step import gradients, update


class Scale(nn.Module):
    """w, a vector of one."""

    def __init__(self, w):
        super().__init__()
        self.w = nn.Parameter(np.array([w], np.float32))


class Numbers(NamedTuple):
    """x, of which `weight` count; `tokens` were read."""

    x: float
    weight: float = 1.0
    tokens: int = 10


def loss(model, batch):
    y = model.w * np.float32(batch.x)
    return (y * y).sum() * 0.5, {"y": y.item(), "training": float(model.training)}


def trained(w, batches, state=None, rate=0.1, **options):
    model = Scale(w)
    model.eval()
    state = state or TrainState()
    optimizer = optim.SGD(model.parameters(), lr=7.0)
    lines = list(
        train(model, iter(batches), loss, optimizer, lambda step: rate * (step + 1), state,
              **options)
    )
    return model.w.item(), state, lines


def test_each_step_moves_along_its_gradient_at_the_schedules_rate():
    # dloss/dw = w x^2: 2 - 0.1 * 2 * 1 = 1.8, then 1.8 - 0.2 * 1.8 * 9 = -1.44.
    w, state, lines = trained(2.0, [Numbers(1.0), Numbers(3.0), Numbers(1e9)], steps=2)
    assert w == pytest.approx(-1.44, rel=1e-5)
    assert [line.step for line in lines] == [1, 2] and state.step == 2
    assert [line.lr for line in lines] == pytest.approx([0.1, 0.2])
    assert [line.loss for line in lines] == pytest.approx([2.0, 14.58])
    assert [line.grad_norm for line in lines] == pytest.approx([2.0, 16.2])
    assert [line.tokens for line in lines] == [10, 20] and state.tokens == 20
    assert lines[1].logged == pytest.approx({"y": 5.4, "training": 1.0})


def test_the_loop_goes_on_from_its_state():
    w, state, lines = trained(
        2.0, [Numbers(1.0)], TrainState(step=4, tokens=100, seconds=60.0, lr_scale=0.5), steps=5
    )
    assert [line.step for line in lines] == [5] and lines[0].tokens == 110
    assert lines[0].lr == pytest.approx(0.25) and w == pytest.approx(1.5)
    assert 60 < state.seconds < 120 and state.seconds - 60 == pytest.approx(lines[0].seconds)
    assert lines[0].tokens_per_second == pytest.approx(10 / lines[0].seconds)


def test_a_state_that_has_come_to_the_end_draws_nothing():
    w, _, lines = trained(2.0, [], TrainState(step=5), steps=5)
    assert lines == [] and w == 2.0


def test_a_step_that_is_not_trusted_moves_nothing_and_counts():
    def judge(state, loss, norm):
        return f"{loss:.1f} and {norm:.1f}" if state.step == 0 else None

    w, state, lines = trained(2.0, [Numbers(1.0)] * 2, steps=2, judge=judge)
    assert lines[0].skipped == "2.0 and 2.0" and lines[1].skipped is None
    assert w == pytest.approx(1.6) and (state.step, state.tokens) == (2, 20)
    _, _, lines = trained(2.0, [Numbers(np.inf)], steps=1)
    assert lines[0].skipped == "the loss is inf"


def test_several_batches_are_one_mean_over_what_counts_in_them():
    model = Scale(2.0)
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    model.w.grad = np.array([1e6], np.float32)  # of an earlier step
    gathered = gradients(model, [Numbers(1.0, 3.0, 7), Numbers(3.0, 1.0, 5)], loss, optimizer)
    assert gathered.loss == pytest.approx((3 * 2.0 + 1 * 18.0) / 4)
    assert gathered.logged["y"] == pytest.approx((3 * 2.0 + 1 * 6.0) / 4)
    assert gathered.tokens == 12
    assert model.w.grad.item() == pytest.approx(2.0 * (3 * 1 + 1 * 9) / 4)


def test_a_step_takes_as_many_batches_as_it_accumulates():
    batches = [Numbers(1.0)] * 6
    assert [line.tokens for line in trained(2.0, batches, steps=2)[2]] == [10, 20]
    assert [line.tokens for line in trained(2.0, batches, steps=2, accumulation=3)[2]] == [30, 60]


@pytest.mark.parametrize(("clip", "moved"), [(None, 4.0), (8.0, 4.0), (1.0, 1.0)])
def test_an_update_is_no_longer_than_the_clip_allows(clip, moved):
    model = Scale(0.0)
    optimizer = optim.SGD(model.parameters(), lr=9.0)
    model.w.grad = np.array([4.0], np.float32)
    update(optimizer, 0.5, 4.0, clip)
    assert model.w.item() == pytest.approx(-0.5 * moved)


def test_a_line_has_the_memory_of_the_process():
    line = trained(2.0, [Numbers(1.0)], steps=1)[2][0]
    assert isinstance(line, StepMetrics) and 10 << 20 < line.rss_bytes < 1 << 40
