"""Several ranks train one model: it is that of one process, whatever they divide."""

import dataclasses
import time

import numpy as np
import pytest

from minigrad import tensor
from tests.tinygpt.distributed.training import arrays, config, distance, same_bytes, train
from tinygpt.config import ConfigError
from tinygpt.distributed.data_parallel import DataParallel
from tinygpt.distributed.start import Joined, cut, parts_of
from tinygpt.distributed.threads import together
from tinygpt.distributed.zero import Zero
from tinygpt.runs.run import Run
from tinygpt.training.begin import begin
from tinygpt.training.trainer import Trainer

UNTIED = {"tied": False}


@pytest.fixture(scope="module")
def alone(tiny_text, tmp_path_factory):
    out = tmp_path_factory.mktemp("alone") / "run"
    train(1, out, config(tiny_text))
    return out


def test_three_ranks_learn_what_one_process_learns(alone, tiny_text, tmp_path):
    train(3, tmp_path / "run", config(tiny_text))
    assert 0 < distance(alone, tmp_path / "run") < 1e-6


@pytest.mark.parametrize("optimizer, steps, divided", [
    ("adamw", 20, [(2, True), (4, False)]), ("muon", 20, [(2, False), (4, True)]),
    ("adamw8bit", 5, [(2, True)]),
])
def test_two_and_four_ranks_learn_the_same_bytes_as_one_process(
    optimizer, steps, divided, tiny_text, tmp_path
):
    asked = config(tiny_text, optimizer=optimizer, lr=1e-2, steps=steps)
    train(1, tmp_path / "alone", asked)
    for ranks, zero in divided:
        train(ranks, tmp_path / f"{ranks}", asked.replace("training", zero=zero))
        assert same_bytes(tmp_path / "alone", tmp_path / f"{ranks}")


def test_uneven_shares_are_added_to_the_same_bytes(tiny_text, tmp_path):
    """Six batches by four: two, one, two and one.  A sixth is no power of two."""
    asked = config(tiny_text, optimizer="muon", accumulation=6, steps=3)
    for ranks in (1, 4):
        train(ranks, tmp_path / f"{ranks}", asked)
    assert same_bytes(tmp_path / "1", tmp_path / "4")


def test_gradients_that_wait_for_backward_to_end_are_the_same(tiny_text, tmp_path):
    asked = config(tiny_text, UNTIED, recompute=True, steps=3)
    train(1, tmp_path / "alone", asked)
    train(4, tmp_path / "four", asked)
    assert same_bytes(tmp_path / "alone", tmp_path / "four")


def test_zero_keeps_a_share_of_the_moments_on_each_rank(tiny_text, tmp_path):
    session = train(4, tmp_path / "run", config(tiny_text, zero=True, steps=2))
    kept = sum(a.nbytes for state in session.optimizer.state for a in state.values())
    whole = 2 * sum(p.data.nbytes for p in session.model.parameters())
    assert kept == pytest.approx(whole / 4, rel=0.1)


def test_a_run_goes_on_with_another_number_of_ranks(alone, tiny_text, tmp_path):
    out = tmp_path / "run"
    train(4, out, config(tiny_text, zero=True), stop_after=5)
    for ranks, until in ((2, 9), (4, 13), (1, None)):
        assert Run.open(out).find("last").step == (5 if ranks == 2 else 9 if ranks == 4 else 13)
        train(ranks, out, stop_after=until)
    assert Run.open(out).find("last").step == 20
    assert distance(alone, out) < 1e-6
    assert arrays(alone)[1].keys() == arrays(out)[1].keys()


def test_a_run_that_stopped_goes_on_to_the_bit(tiny_text, tmp_path):
    train(2, tmp_path / "whole", config(tiny_text, zero=True))
    train(2, tmp_path / "parts", config(tiny_text, zero=True), stop_after=7)
    train(2, tmp_path / "parts")
    assert same_bytes(tmp_path / "whole", tmp_path / "parts")


def test_sums_as_int8_learn_about_the_same(alone, tiny_text, tmp_path):
    train(2, tmp_path / "run", config(tiny_text, exchange="int8"))
    losses = [Run.open(out).find("last").state()["train"]["losses"][-1]
              for out in (alone, tmp_path / "run")]
    assert 1e-7 < distance(alone, tmp_path / "run") < 1e-2
    assert losses[1] == pytest.approx(losses[0], rel=0.01)


def test_ranks_meet_after_local_steps_and_hold_the_same_weights(tiny_text, tmp_path):
    asked = config(tiny_text, local_steps=4, steps=12, outer_lr=1.0, outer_momentum=0.0)
    session = train(2, tmp_path / "run", asked)
    assert session.state.step == 12 and session.group.every == 4
    for bucket, met in zip(session.group.buckets, session.group._met, strict=True):
        for parameter, weights in zip(bucket.parameters, bucket.views_of(met), strict=True):
            np.testing.assert_array_equal(parameter.data, weights)
    momenta = [name for name in arrays(tmp_path / "run")[1] if name.startswith("outer.")]
    assert len(momenta) == len(session.optimizer.state)
    train(1, tmp_path / "run", change=lambda own: own.replace("training", steps=13))
    assert Run.open(tmp_path / "run").find("last").step == 13


def test_local_steps_with_an_outer_step_of_one_are_the_mean_of_the_ranks(tiny_text, tmp_path):
    asked = config(tiny_text, local_steps=1, steps=1, outer_lr=1.0, outer_momentum=0.0)
    ends = []
    for rank in range(2):
        out = tmp_path / f"{rank}"
        half = asked.replace("training", local_steps=None, accumulation=2)
        session = train(1, out, half) if rank == 0 else _second_half(half, out)
        ends.append({k: v.copy() for k, v in session.model.state_dict().items()})
    train(2, tmp_path / "run", asked)
    met = arrays(tmp_path / "run")[0]
    for name in met:
        np.testing.assert_allclose(met[name], (ends[0][name] + ends[1][name]) / 2, atol=1e-7)


def _second_half(asked, out):
    """A session that has made its first step on batches 3 and 4."""
    session = begin(asked, out)
    next(session.batches), next(session.batches)
    Trainer(session).run()
    return session


@pytest.mark.slow
def test_local_steps_come_to_the_same_loss(tiny_text, tmp_path):
    steps = {"steps": 600, "lr": 3e-3, "eval_every": 200, "eval_tokens": 2000,
             "checkpoint_every": None}
    train(1, tmp_path / "alone", config(tiny_text, **steps))
    train(2, tmp_path / "run", config(tiny_text, local_steps=30, **steps))
    best = [Run.open(tmp_path / name).find("last").state()["train"]["best_loss"]
            for name in ("alone", "run")]
    assert best[1] < 1.01 * best[0]


def test_ranks_agree_on_a_step_without_numbers_and_the_next_is_good():
    def work(communicator):
        parameter = tensor(np.ones(300, np.float32), requires_grad=True)
        group = DataParallel(communicator, [parameter], int8=True)
        batches = [_Batch(float("inf") if k == 3 else 1.0) for k in range(4)]

        class Optimizer:
            def zero_grad(self):
                parameter.grad = None

            def parameters(self):
                return [parameter]

        def loss(model, batch):
            return (parameter * np.float32(batch.x)).sum(), {}

        with np.errstate(all="ignore"):
            found = group.gradients(None, batches, loss, Optimizer())
            bad = group.norm(Optimizer())
            group.gradients(None, [_Batch(1.0)] * 4, loss, Optimizer())
        return found.loss, bad, parameter.grad.copy()

    for loss, norm, again in together(2, work):
        assert not np.isfinite(loss) and not np.isfinite(norm)
        np.testing.assert_allclose(again, 1.0, rtol=0.01)


@dataclasses.dataclass
class _Batch:
    x: float
    weight: float = 1.0
    tokens: int = 1


def test_a_parameter_that_nothing_reaches_keeps_no_gradient():
    def work(communicator):
        used, idle = (tensor(np.ones(3, np.float32), requires_grad=True) for _ in range(2))
        kind = Zero if communicator.size == 3 else DataParallel
        group = kind(communicator, [used, idle])

        class Optimizer:
            state = [{}, {}]

            def zero_grad(self):
                used.grad = idle.grad = None

            def parameters(self):
                return [used, idle]

        if isinstance(group, Zero):
            group.divide(Optimizer())
        batches = [_Batch(float(k + 1)) for k in range(communicator.size)]
        group.gradients(
            None, batches, lambda _, b: ((used * np.float32(b.x)).sum(), {}), Optimizer()
        )
        return used.grad, idle.grad

    for used, idle in together(2, work):
        assert idle is None
        np.testing.assert_array_equal(used, 1.5)
    with_one_owner = [used for used, _ in together(3, work) if used is not None]
    assert len(with_one_owner) == 1
    np.testing.assert_allclose(with_one_owner[0], 2.0, rtol=1e-6)


@pytest.mark.parametrize("batch_size, accumulation, ranks, right", [
    (12, 1, 2, (6, 2)), (12, 1, 4, (3, 4)), (16, 1, 3, (4, 4)), (4, 2, 4, (2, 4)),
    (5, 1, 2, (1, 5)),
])
def test_a_step_is_cut_into_a_batch_for_every_rank(batch_size, accumulation, ranks, right):
    assert cut(batch_size, accumulation, ranks) == right


def test_a_step_of_too_few_sequences_is_refused():
    with pytest.raises(ConfigError, match="batch_size = 1 .* leaves some of 2 ranks"):
        cut(1, 1, 2)


@pytest.mark.parametrize("speeds, count, right", [
    ([1.0, 1.0], 4, [2, 2]), ([3.0, 1.0], 8, [6, 2]), ([2.0, 1.0, 1.0], 8, [4, 2, 2]),
    ([100.0, 1.0], 4, [3, 1]),
])
def test_a_slower_rank_gets_fewer_batches(speeds, count, right):
    assert parts_of(speeds, count) == right


def test_a_slower_machine_is_measured_and_takes_fewer_batches(
    tiny_text, tmp_path, monkeypatch
):
    attach = Joined.attach

    def slowed(self, session):
        if self.rank == 1:
            loss = session.objective.loss
            session.objective.loss = lambda *args: (time.sleep(0.2), loss(*args))[1]
        return attach(self, session)

    monkeypatch.setattr(Joined, "attach", slowed)
    asked = config(tiny_text, shares="measured", steps=3, accumulation=8, batch_size=1)
    session = train(2, tmp_path / "run", asked)
    assert len(session.group.share([_Batch(0.0)] * 8).batches) == 7  # of the quick one
    train(1, tmp_path / "alone", asked)
    assert distance(tmp_path / "alone", tmp_path / "run") < 1e-6
