"""The rate of a run that goes on under another recipe begins where it was and does not rise."""

import dataclasses

import numpy as np
import pytest

from minigrad import optim
from tinygpt.config import ConfigError, TrainingConfig
from tinygpt.runs import checkpoint as checkpoints
from tinygpt.runs import metrics as metrics_files
from tinygpt.runs.run import Run
from tinygpt.training.begin import begin, resume
from tinygpt.training.schedule import continued, outlook, schedule_of
from tinygpt.training.trainer import Trainer


def with_recipe(config, **recipe):
    return config.replace("training", **recipe)


def rates(config, first=0):
    rate = schedule_of(config.training)
    return [rate(step) for step in range(first, config.training.steps + 1)]


def test_an_unchanged_recipe_is_one_warm_up_and_one_cosine(tiny_config):
    recipe = tiny_config.training
    plain = optim.warmup_cosine(recipe.lr, recipe.min_lr, recipe.warmup_steps, recipe.steps)
    assert rates(tiny_config) == [plain(step) for step in range(recipe.steps + 1)]
    assert continued(tiny_config, tiny_config, 20) == tiny_config


@pytest.mark.parametrize("steps", [31, 60, 1000])
@pytest.mark.parametrize("made", [5, 17, 30])
def test_other_steps_continue_the_rate_without_a_jump(tiny_config, steps, made):
    before = schedule_of(tiny_config.training)(made)
    later = rates(continued(tiny_config, with_recipe(tiny_config, steps=steps), made), made)
    assert later[0] == pytest.approx(before, rel=1e-12)
    assert later == sorted(later, reverse=True)
    assert later[-1] == tiny_config.training.min_lr


def test_after_the_end_the_rate_stays_at_its_end(tiny_config):
    later = continued(tiny_config, with_recipe(tiny_config, steps=5000), 40)
    assert set(rates(later, 40)) == {1e-3}
    assert "has come to its end, 0.001, and stays there" in outlook(later.training, 40)


def test_during_the_warm_up_the_new_steps_count_from_the_start(tiny_config):
    wanted = with_recipe(tiny_config, steps=80)
    assert continued(tiny_config, wanted, 3) == wanted


def test_another_rate_scales_what_is_left(tiny_config):
    before = schedule_of(tiny_config.training)(20)
    halved = continued(tiny_config, with_recipe(tiny_config, lr=5e-3), 20)
    assert rates(halved, 20)[0] == pytest.approx(before / 2)
    end = continued(tiny_config, with_recipe(tiny_config, min_lr=1e-4), 20)
    assert rates(end, 20)[0] == before and rates(end)[-1] == 1e-4


def test_a_warm_restart_has_to_be_asked_for(tiny_config):
    again = continued(tiny_config, with_recipe(tiny_config, steps=90, cosine_lr=4e-3), 40)
    assert rates(again, 40)[0] == 4e-3 and rates(again)[-1] == 1e-3
    assert "goes on from 0.004 and comes to 0.001 at step 90" in outlook(again.training, 40)


def test_two_extensions_follow_each_other(tiny_config):
    first = continued(tiny_config, with_recipe(tiny_config, steps=100), 20)
    second = continued(first, with_recipe(first, steps=300), 60)
    assert rates(second, 60)[0] == pytest.approx(schedule_of(first.training)(60))
    assert continued(second, with_recipe(second, cosine_step=None, cosine_lr=None), 99) == second


def test_a_cosine_of_its_own_begins_at_its_step_and_needs_both_settings():
    recipe = TrainingConfig(steps=20, lr=0.1, min_lr=0.01, warmup_steps=4)
    own = dataclasses.replace(recipe, cosine_step=10, cosine_lr=0.05)
    rate = schedule_of(own)
    assert [rate(step) for step in (3, 10, 15, 20, 99)] == pytest.approx(
        [0.05, 0.05, 0.03, 0.01, 0.01]
    )
    plain = schedule_of(recipe)
    for half in ({"cosine_step": 10}, {"cosine_lr": 0.05}):
        rate = schedule_of(dataclasses.replace(recipe, **half))
        assert [rate(step) for step in range(21)] == [plain(step) for step in range(21)]
    late = schedule_of(dataclasses.replace(own, cosine_step=20))
    assert [late(20), late(21)] == pytest.approx([0.05, 0.01])


def test_a_rate_of_zero_can_be_continued_and_none_is_below_the_end(tiny_config):
    still = with_recipe(tiny_config, lr=0.0, min_lr=0.0)
    assert continued(still, with_recipe(still, steps=50), 6).training.cosine_lr == 0.0
    later = continued(tiny_config, with_recipe(tiny_config, min_lr=5e-3, steps=50), 40)
    assert later.training.cosine_lr == 5e-3


def test_after_the_warm_up_has_ended_the_rate_is_continued(tiny_config):
    wanted = with_recipe(tiny_config, steps=50)
    assert continued(tiny_config, wanted, 4).training.cosine_step is None
    assert continued(tiny_config, wanted, 5).training.cosine_step == 5


def test_the_outlook_scales_with_the_rate_of_the_state():
    recipe = TrainingConfig(steps=20, lr=0.1, min_lr=0.01, warmup_steps=0)
    assert outlook(recipe, 0) == "the rate goes on from 0.1 and comes to 0.01 at step 20"
    assert outlook(recipe, 0, 0.5) == "the rate goes on from 0.05 and comes to 0.005 at step 20"
    flat = TrainingConfig(steps=20, lr=0.01, min_lr=0.01, warmup_steps=0)
    assert "goes on from 0.01 and comes to 0.01" in outlook(flat, 20)
    assert "stays there up to step 20" in outlook(flat, 19)


def test_more_steps_after_the_end_do_not_undo_what_was_learned(tiny_config, tmp_path):
    before = Trainer(begin(tiny_config, tmp_path / "run")).run()
    said = []
    more = resume(tmp_path / "run", lambda c: with_recipe(c, steps=160), said.append)
    assert any("stays there up to step 160" in text for text in said)
    after = Trainer(more).run()
    assert after.val_loss < before.val_loss
    lines = [m for m in metrics_files.read(tmp_path / "run/metrics.jsonl") if "loss" in m]
    assert max(m["lr"] for m in lines[40:]) == 1e-3
    assert max(m["val_loss"] for m in lines[40:] if "val_loss" in m) < before.val_loss + 0.02


def test_a_longer_run_is_resumed_to_the_bit(tiny_config, tmp_path):
    finals = []
    for name, stops in (("whole", ()), ("parts", (25, 33))):
        path = tmp_path / name
        session = begin(tiny_config, path)
        Trainer(session, stops=[lambda s=session: "x" if s.state.step >= 18 else None]).run()
        session = resume(path, lambda c: with_recipe(c, steps=50))
        for stop in stops:
            at = [lambda s=session, n=stop: "x" if s.state.step >= n else None]
            Trainer(session, stops=at).run()
            session = resume(path)
        Trainer(session).run()
        newest = checkpoints.newest_good(path / "checkpoints")
        finals.append((newest.step, (newest.path / "model.safetensors").read_bytes()))
        lr = [m["lr"] for m in metrics_files.read(path / "metrics.jsonl") if "lr" in m]
        assert np.diff(lr[5:]).max() <= 0
    assert finals[0] == finals[1] and finals[0][0] == 50


def test_fewer_steps_than_made_are_refused_and_nothing_is_written(tiny_config, tmp_path):
    Trainer(begin(tiny_config, tmp_path / "run")).run()
    with pytest.raises(ConfigError, match=r"has made 40 steps already, more than .*steps = 30"):
        resume(tmp_path / "run", lambda c: with_recipe(c, steps=30))
    assert Run.open(tmp_path / "run").config.training.steps == 40


def test_a_run_that_is_complete_says_so(tiny_config, tmp_path):
    Trainer(begin(tiny_config, tmp_path / "run")).run()
    said = []
    resume(tmp_path / "run", say=said.append)
    assert "all 40 steps are made. For more: --set training.steps=80" in said
