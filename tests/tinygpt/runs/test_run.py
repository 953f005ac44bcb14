"""A run's folder opens as it was left, or says what was altered."""

import json
import shutil

import pytest

from tinygpt.errors import UserError
from tinygpt.runs.run import Run
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
