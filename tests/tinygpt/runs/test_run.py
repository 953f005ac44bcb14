"""A run's folder opens as it was left, or says what was altered."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest

from tinygpt.errors import UserError
from tinygpt.runs import checkpoint as checkpoints
from tinygpt.runs.checkpoint import CheckpointError
from tinygpt.runs.run import Run, new_run
from tinygpt.training.begin import begin


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_text):
    """A new run without a step."""
    from tinygpt.config import from_dict

    path = tmp_path_factory.mktemp("made") / "run"
    data = {"source": str(tiny_text), "split": [0.9, 0.1, 0.0], "by_position": True}
    shape = {"n_layers": 1, "n_heads": 2, "d_model": 16, "context": 16}
    begin(from_dict({"data": data, "model": shape}), path)
    return path


@pytest.fixture
def run(made, tmp_path):
    return shutil.copytree(made, tmp_path / "run")


def change(path, edit):
    values = json.loads(path.read_text(encoding="utf-8"))
    edit(values)
    path.write_text(json.dumps(values), encoding="utf-8")


def test_a_setting_altered_by_hand_is_noticed(run):
    """n_heads changes no array: the model would load, and write nonsense."""
    change(run / "config.json", lambda values: values["model"].update(n_heads=4))
    with pytest.raises(UserError, match="config.json was altered.*--resume --set"):
        Run.open(run)


def test_a_tokenizer_altered_by_hand_is_noticed(run):
    path = run / "tokenizer.json"
    text = path.read_text(encoding="utf-8")
    assert "ab" in text
    path.write_text(text.replace("ab", "ba"), encoding="utf-8")
    with pytest.raises(UserError, match="tokenizer.json was altered"):
        _ = Run.open(run).tokenizer
    path.unlink()
    with pytest.raises(UserError, match="tokenizer.json cannot be read"):
        _ = Run.open(run).tokenizer


def test_a_run_of_an_earlier_version_opens_and_is_signed_when_it_changes(run):
    def as_before(values):
        del values["sha256"], values["files"]

    change(run / "config.json", as_before)
    opened = Run.open(run)
    assert opened.files == {} and opened.tokenizer.vocab_size == opened.config.model.vocab_size
    opened.write_config(opened.config.replace("training", steps=7))
    assert Run.open(run).config.training.steps == 7
    change(run / "config.json", lambda values: values["training"].update(steps=8))
    with pytest.raises(UserError, match="altered"):
        Run.open(run)


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "3", "{", "[" * 99_999, "\ufeff{}", '{"objective": 3}', '{"base": "x"}',
        '{"objective": ["pretraining"]}', '{"model": []}', '{"model": {"d_model": NaN}}',
        '{"model": {"d_model": 1e999}}', '{"model": {}, "model": {}}', '{"data": {"split": 1}}',
        '{"files": {"tokenizer.json": 3}}', '{"sha256": 1}', '{"training": {"seed": true}}',
    ],
)
def test_a_configuration_that_is_none_is_refused_in_words(run, text):
    (run / "config.json").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match="is a damaged run folder: "):
        Run.open(run)


@pytest.fixture
def config(made):
    return Run.open(made).config


def test_what_is_no_run_is_told_from_what_is_not_there(tmp_path):
    with pytest.raises(UserError, match=r"is not a run folder: it has no config\.json"):
        Run.open(tmp_path)
    with pytest.raises(UserError, match="none is missing"):
        Run.open(tmp_path / "none")


def test_a_run_is_made_of_what_its_objective_leaves(config, tmp_path):
    def leave(folder):
        assert not (folder / "config.json").exists()
        (folder / "tokenizer.json").write_text("abc")
        (folder / "other.json").write_text("abc")

    run = Run.create(tmp_path / "a/run", config, leave)
    assert run.files == {"tokenizer.json": hashlib.sha256(b"abc").hexdigest()}
    again = Run.open(tmp_path / "a/run")
    assert (again.files, again.config, again.path) == (run.files, config, tmp_path / "a/run")
    assert again.check("tokenizer.json") == tmp_path / "a/run/tokenizer.json"
    (tmp_path / "a/run/baselines.json").write_text("anything: its checksum was never noted")
    assert again.check("baselines.json").exists()
    text = (tmp_path / "a/run/config.json").read_text(encoding="utf-8")
    assert text.startswith('{\n  "objective": "pretraining",') and text.endswith("}\n")
    with pytest.raises(UserError, match="already holds a run. Go on with it by --resume"):
        Run.create(tmp_path / "a/run", config, leave)


def test_a_disk_that_refuses_is_said_with_its_reason(config, run, tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(28, "No space left on device")

    with pytest.raises(UserError, match="cannot write to .*new: No space left on device. Nothing"):
        Run.create(tmp_path / "new", config, refuse)
    opened = Run.open(run)
    monkeypatch.setattr("tinygpt.runs.run.replace_file", refuse)
    with pytest.raises(UserError, match="No space left"):
        opened.write_config(config.replace("training", steps=7))
    assert opened.config == config
    monkeypatch.setattr(Path, "mkdir", refuse_folder)
    with pytest.raises(UserError, match="cannot write to .*new: No space"):
        with new_run(tmp_path / "new"):
            pass


def refuse_folder(*args, **kwargs):
    raise OSError(28, "No space left on device")


def test_a_tokenizer_that_was_never_signed_is_read_with_care(run):
    change(run / "config.json", lambda values: [values.pop(key) for key in ("sha256", "files")])
    (run / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="is a damaged run folder: .*no tokenizer file known"):
        _ = Run.open(run).tokenizer


def saved(run, *steps, best=None):
    for step in steps:
        state = {"train": {"best_step": best}, "scheduled": step != 3}
        checkpoints.save(run.checkpoints, step, {}, {}, state)


def test_checkpoints_are_found_by_what_they_are(run):
    opened, said = Run.open(run), []
    assert opened.checkpoints == run / "checkpoints" and opened.newest_good() is None
    with pytest.raises(UserError, match="has no checkpoint yet. Train it: .*--resume"):
        opened.find()
    saved(opened, 1, 2, 3, 4, best=2)
    assert opened.find().step == opened.find("last").step == 4
    assert opened.find("best").step == 2 and opened.find(3).step == opened.find("3").step == 3
    assert opened.newest_good(before=4).step == 3
    assert opened.newest_good(before=4, scheduled=True).step == 2
    with pytest.raises(UserError, match=r"no checkpoint of step 9\. It has: 4, 3, 2, 1\."):
        opened.find(9)
    for step in (2, 4):
        (run / f"checkpoints/step-0000000{step}/state.json").write_text("{")
    assert opened.find("last", said.append).step == 3
    assert len(said) == 1 and "state.json is damaged" in said[0]
    with pytest.raises(CheckpointError, match="state.json is damaged"):
        opened.find(2)


def test_a_run_whose_checkpoints_are_all_damaged_says_so(run):
    opened = Run.open(run)
    saved(opened, 1)
    (run / "checkpoints/step-00000001/state.json").write_text("{")
    with pytest.raises(UserError, match="has no undamaged checkpoint. Train it"):
        opened.find()


def test_the_folder_of_a_run_that_fails_goes_only_if_it_was_made_for_it(tmp_path):
    (tmp_path / "there").mkdir()
    for name in ("there", "there/new"):
        with pytest.raises(KeyError), new_run(tmp_path / name):
            raise KeyError
    assert [path.name for path in tmp_path.iterdir()] == ["there"]
    with new_run(tmp_path / "there/new"):
        pass
    assert (tmp_path / "there/new").is_dir()
    with new_run(tmp_path / "there/new"):
        (tmp_path / "there/new/config.json").write_text("{}")
    with pytest.raises(UserError, match="already holds a run"), new_run(tmp_path / "there/new"):
        raise AssertionError("it was begun")
