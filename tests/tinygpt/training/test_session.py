"""What a session is made of, what a checkpoint of it holds, and what begin and resume say."""

import dataclasses
import json

import numpy as np
import pytest

import minigrad
import tests.tinygpt.training.objectives  # noqa: F401  # it enters them into the table
from minigrad import nn, optim
from tinygpt.config import ConfigError, TrainingConfig, from_dict
from tinygpt.errors import UserError
from tinygpt.runs import checkpoint as checkpoints
from tinygpt.runs.checkpoint import CheckpointError
from tinygpt.runs.metrics import StepMetrics
from tinygpt.runs.run import Run
from tinygpt.storage.reading import FormatError
from tinygpt.training import session as sessions
from tinygpt.training.begin import begin, resume
from tinygpt.training.optimizer import decay_groups, make_optimizer
from tinygpt.training.schedule import outlook
from tinygpt.training.session import fix_order, how_it_computes
from tinygpt.training.state import TrainState
from tinygpt.training.trainer import Trainer

RECIPE = {"steps": 12, "batch_size": 2, "warmup_steps": 2, "eval_every": None, "lr": 1e-2}
LINE = StepMetrics(3, 30, 1.5, 0.01, 0.7, 99.0, 1000, 0.1, None, {"bias": 0.5, "lost": np.nan})


def regression(**recipe):
    return from_dict({"objective": "regression", "training": {**RECIPE, **recipe}})


@pytest.fixture
def session(tmp_path):
    return begin(regression(), tmp_path / "run")


def weights(session):
    return {name: array.copy() for name, array in session.model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


# A session.


def test_the_seed_decides_the_weights_and_the_batches_separately(session, tmp_path):
    again = begin(regression(), tmp_path / "again")
    other = begin(regression(seed=7), tmp_path / "other")
    assert same(weights(session), weights(again)) and not same(weights(session), weights(other))
    first = next(session.batches).x
    assert np.array_equal(first, next(again.batches).x)
    assert not np.array_equal(first, next(other.batches).x)
    streams = np.random.SeedSequence(regression().training.seed).spawn(2)  # in every version
    model = session.objective.build(np.random.default_rng(streams[0]))
    assert same(weights(session), model.state_dict())
    expected = np.random.default_rng(streams[1]).standard_normal((2, 3)).astype(np.float32)
    assert np.array_equal(first, expected)


def test_a_checkpoint_brings_everything_back(session):
    Trainer(session, stops=[lambda: "x" if session.state.step == 5 else None]).run()
    saved, then = session.save(), weights(session)
    train, batch = session.state.to_dict(), session.batches.state_dict()
    moments = {key: array.copy() for key, array in session.optimizer.state_dict().items()}
    Trainer(session).run()
    assert not same(weights(session), then)
    session.restore(saved)
    assert same(weights(session), then) and session.state.to_dict() == train
    assert session.batches.state_dict() == batch
    assert same(session.optimizer.state_dict(), moments)


def test_a_rollback_keeps_the_place_in_the_data(session):
    session.pending = LINE
    saved = session.save()
    next(session.batches)
    place = json.dumps(session.batches.state_dict())
    session.restore(saved, with_data=False)
    assert json.dumps(session.batches.state_dict()) == place and session.pending is None


def test_two_scheduled_checkpoints_are_kept_with_the_best_and_the_newest(session):
    session.state.best_step = 2
    for step in range(1, 8):
        session.state.step = step
        session.save(scheduled=step != 7)
    steps = [one.step for one in checkpoints.listed(session.run.checkpoints)]
    assert steps == [7, 6, 5, 2]
    assert [checkpoints.newest_good(session.run.checkpoints).scheduled] == [False]
    assert session.run.newest_good(scheduled=True).step == 6


def test_an_unfinished_step_is_kept_without_what_is_no_number(session):
    session.state.step = 3
    assert "pending" not in session.save().state()
    session.pending = LINE
    saved = session.save()
    session.pending = None
    session.restore(saved)
    assert session.pending == dataclasses.replace(LINE, logged={"bias": 0.5})


def altered(saved, change):
    """The checkpoint with another state.json; `restore` believes what `verify` has let pass."""
    path = saved.path / "state.json"
    state = json.loads(path.read_text())
    change(state)
    path.write_text(json.dumps(state))
    return saved


def test_a_state_of_another_step_is_refused(session):
    session.state.step, session.pending = 3, LINE
    saved = altered(session.save(), lambda state: state["pending"].update(step=4))
    with pytest.raises(CheckpointError, match="its pending step is 4. Use an earlier"):
        session.restore(saved)
    saved = altered(saved, lambda state: state["train"].update(step=9))
    with pytest.raises(CheckpointError, match="state.json is of step 9. Use an earlier"):
        session.restore(saved)
    saved = altered(saved, lambda state: state["train"].update(losses=["high"]))
    with pytest.raises(CheckpointError, match="does not fit: .*losses"):
        session.restore(saved)


def test_another_way_to_compute_is_said(session):
    saved = session.save()
    assert session.differences(saved) == []
    altered(saved, lambda state: state["computes"].update(isa="8086"))
    (said,) = session.differences(saved)
    assert said.startswith("isa was 8086 and is ") and said.endswith("but not to the bit")
    altered(saved, lambda state: state.pop("computes"))  # a checkpoint of an earlier version
    assert len(session.differences(saved)) == len(how_it_computes())


@pytest.mark.parametrize("backend", ["numpy", "c"])
def test_only_numpys_sums_depend_on_the_number_of_threads(monkeypatch, tmp_path, backend):
    used = {"ops": {"matmul_forward": backend}, "isa": "avx2"}
    threads = []
    monkeypatch.setattr(minigrad, "in_use", lambda: used)
    monkeypatch.setattr(minigrad, "get_num_threads", lambda: 5)
    monkeypatch.setattr(minigrad, "set_num_threads", threads.append)
    expected = {"backend": backend, "isa": "avx2"}
    assert how_it_computes() == (expected | {"threads": 5} if backend == "numpy" else expected)
    fix_order()
    assert threads == ([1] if backend == "numpy" else [])


@pytest.mark.parametrize("deterministic", [True, False])
def test_the_order_of_sums_is_fixed_where_it_is_asked_for(monkeypatch, tmp_path, deterministic):
    called = []
    monkeypatch.setattr(sessions, "fix_order", lambda: called.append(True))
    begin(regression(deterministic=deterministic), tmp_path / "run")
    assert bool(called) == deterministic


# Its state.


def test_a_new_state_has_seen_nothing():
    values = TrainState().to_dict()
    del values["rng"]
    assert values == {
        "step": 0, "tokens": 0, "seconds": 0.0, "lr_scale": 1.0, "lr_ceiling": 1.0, "losses": [],
        "norms": [], "low": None, "low_step": 0, "skipped": 0, "skipped_in_a_row": 0,
        "rollbacks": 0, "best_loss": None, "best_step": None,
    }


def test_a_state_is_read_back_in_place_and_checked_first():
    rng = np.random.default_rng(1)
    before = TrainState(7, 70, 1.5, 0.5, 0.9, [2.0], [1.0], 1.9, 5, 4, 3, 2, 1.8, 6, rng)
    values = json.loads(json.dumps(before.to_dict()))
    mine = np.random.default_rng(2)
    after = TrainState(rng=mine)
    after.load_dict(values)
    assert after.to_dict() == before.to_dict() and after.rng is mine
    assert mine.random() == rng.random()
    with pytest.raises(FormatError):
        after.load_dict({**values, "step": -1})
    assert after.step == 7


def test_another_recipe_has_no_usual_losses_yet():
    state = TrainState(step=9, losses=[1.0], norms=[2.0], low=0.5, low_step=3)
    state.forget_usual()
    assert (state.losses, state.norms, state.low, state.low_step) == ([], [], None, 9)


def test_what_a_state_lends_is_its_own_to_change():
    state = TrainState(losses=[1.0], norms=[2.0])
    values = state.to_dict()
    state.losses.append(3.0)
    state.norms.append(3.0)
    assert values["losses"] == [1.0] and values["norms"] == [2.0]


# Its optimizer.


def test_matrices_decay_and_norms_biases_embeddings_and_what_is_frozen_do_not():
    rng = np.random.default_rng(0)
    table, norm, linear = nn.Embedding(5, 4, rng=rng), nn.LayerNorm(4), nn.Linear(4, 3, rng=rng)
    frozen = nn.Linear(3, 3, rng=rng)
    frozen.requires_grad_(False)
    model = nn.Sequential(table, norm, linear, frozen)
    decays, others = decay_groups(model, 0.3)
    assert [id(p) for p in decays["params"]] == [id(linear.weight)]
    named = {id(p) for p in (table.weight, norm.weight, norm.bias, linear.bias)}
    assert {id(p) for p in others["params"]} == named
    assert (decays["weight_decay"], others["weight_decay"]) == (0.3, 0.0)


@pytest.mark.parametrize(
    ("name", "kind"), [("adamw", optim.AdamW), ("adamw8bit", optim.AdamW8bit), ("muon", optim.Muon)]
)
def test_the_recipe_names_its_optimizer(name, kind):
    model = nn.Linear(4, 3, rng=np.random.default_rng(0))
    recipe = TrainingConfig(optimizer=name, weight_decay=0.3)
    optimizer = make_optimizer(model, recipe)
    assert type(optimizer) is kind
    decays = {id(p): group["weight_decay"] for group in optimizer.param_groups
              for p in group["params"]}
    assert decays == {id(model.weight): 0.3, id(model.bias): 0.0}


# Beginning and going on.


def test_approval_sees_the_objective_before_the_run_is_made(tmp_path):
    def approve(objective):
        assert not (tmp_path / "run/config.json").exists()
        return objective.with_training(batch_size=5)

    session = begin(regression(), tmp_path / "run", approve=approve)
    assert Run.open(tmp_path / "run").config.training.batch_size == 5
    assert next(session.batches).weight == 5
    with pytest.raises(UserError, match="no"):
        begin(regression(), tmp_path / "none", approve=refuse)
    assert not (tmp_path / "none").exists()


def refuse(objective):
    raise UserError("no")


def test_a_run_without_a_checkpoint_starts_anew_and_says_so(session, tmp_path):
    first, said = next(session.batches).x, []
    again = resume(tmp_path / "run", say=said.append)
    assert said == ["no checkpoint to go on from: training starts at step 0"]
    assert again.state.step == 0 and np.array_equal(next(again.batches).x, first)
    assert resume(tmp_path / "run").state.step == 0


def test_a_run_without_a_step_takes_another_recipe_as_if_it_had_begun_with_it(tmp_path):
    begin(regression(warmup_steps=0), tmp_path / "run")
    again = resume(tmp_path / "run", lambda c: c.replace("training", steps=40))
    plain = optim.warmup_cosine(1e-2, again.config.training.min_lr, 0, 40)
    rates = [again.schedule(step) for step in range(40)]
    assert rates == pytest.approx([plain(step) for step in range(40)])


def test_going_on_says_where_and_writes_nothing_unasked(session, tmp_path):
    Trainer(session, stops=[lambda: "x" if session.state.step == 5 else None]).run()
    config = (tmp_path / "run/config.json").read_bytes()
    usual, said = session.state.losses, []
    assert len(usual) == 5
    again = resume(tmp_path / "run", say=said.append)
    assert said == ["going on from step 5"] and again.state.losses == usual
    assert (tmp_path / "run/config.json").read_bytes() == config


def test_a_change_is_said_kept_and_makes_the_usual_losses_unknown(session, tmp_path):
    Trainer(session, stops=[lambda: "x" if session.state.step == 5 else None]).run()
    said = []
    again = resume(tmp_path / "run", lambda c: c.replace("training", steps=40), said.append)
    assert said[0] == "changed since the last session: training.steps: 12 -> 40"
    assert said[1] == outlook(again.config.training, 5) and said[2] == "going on from step 5"
    assert len(said) == 3
    assert again.state.losses == [] and again.config.training.steps == 40
    assert Run.open(tmp_path / "run").config == again.config == again.objective.config


def test_a_session_computes_otherwise_and_that_is_said(session, tmp_path, monkeypatch):
    Trainer(session, stops=[lambda: "x" if session.state.step == 5 else None]).run()
    computes = {**how_it_computes(), "isa": "z80"}
    monkeypatch.setattr(sessions, "how_it_computes", lambda: computes)
    said = []
    resume(tmp_path / "run", say=said.append)
    assert len(said) == 2 and "isa was" in said[0] and "is z80" in said[0]


def test_a_complete_run_with_an_unfinished_last_step_goes_on(session, tmp_path):
    Trainer(session).run()
    said = []
    resume(tmp_path / "run", say=said.append)
    assert said == ["all 12 steps are made. For more: --set training.steps=24"]
    session.pending = dataclasses.replace(LINE, step=12)
    session.save()
    said.clear()
    resume(tmp_path / "run", say=said.append)
    assert said == ["going on from step 12"]


def test_changes_in_mid_run_are_those_of_the_recipe_and_at_least_the_steps_made(session, tmp_path):
    Trainer(session, stops=[lambda: "x" if session.state.step == 5 else None]).run()
    config = (tmp_path / "run/config.json").read_bytes()
    with pytest.raises(ConfigError, match=r"cannot go on with another base: None -> x\. Leave"):
        resume(tmp_path / "run", lambda c: dataclasses.replace(c, base="x"))
    with pytest.raises(ConfigError, match=r"made 5 steps already.*training.steps=9, or leave"):
        resume(tmp_path / "run", lambda c: c.replace("training", steps=4))
    assert (tmp_path / "run/config.json").read_bytes() == config
    again = resume(tmp_path / "run", lambda c: c.replace("training", steps=5))
    assert again.config.training.steps == 5


def test_a_checkpoint_of_other_data_is_refused(session, tmp_path, monkeypatch):
    session.objective.identity = lambda: {"text": "a"}
    session.save()
    monkeypatch.setattr(type(session.objective), "identity", lambda self: {"text": "b"})
    with pytest.raises(UserError, match="text was a and is b. Bring the text back"):
        resume(tmp_path / "run")
