"""Classification: forms of labelled texts, learning, resuming, and what is refused."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from tinygpt.cli import cli
from tinygpt.config import from_dict
from tinygpt.errors import UserError
from tinygpt.finetuning.classification import Classification, open_classifier
from tinygpt.text.files import DataError
from tinygpt.text.labelled import Labelled, read_labelled
from tinygpt.training.begin import begin, resume
from tinygpt.training.trainer import Trainer
from tinygpt.weights.open import load_model

COLOURS, ANIMALS = ["red", "blue", "green"], ["dog", "cat", "cow"]
MODEL = {"family": "bert", "n_layers": 1, "n_heads": 2, "d_model": 16, "context": 24}
RECIPE = {"steps": 60, "batch_size": 8, "lr": 1e-2, "min_lr": 1e-3, "warmup_steps": 5,
          "eval_every": 30, "checkpoint_every": None, "sample_every": None}


@pytest.fixture
def examples():
    rng = np.random.default_rng(0)
    return [
        Labelled(f"we saw a {rng.choice(words)} one", label)
        for label, words in (("colour", COLOURS), ("animal", ANIMALS)) for _ in range(20)
    ]


@pytest.fixture
def source(examples, tmp_path):
    path = tmp_path / "examples.jsonl"
    path.write_text("".join(json.dumps(e._asdict()) + "\n" for e in examples))
    return path


def config_of(source, **changes):
    return from_dict({
        "objective": "classification", "model": MODEL, "data": {"source": str(source)},
        "training": RECIPE, **changes,
    })


def test_every_form_of_labelled_texts_is_the_same(examples, source, tmp_path):
    rows = "".join(f'"{e.text}",{e.label}\n' for e in examples)
    (tmp_path / "a.csv").write_text("text,label\n" + rows)
    (tmp_path / "a.tsv").write_text(
        "label\ttext\n" + "".join(f"{e.label}\t{e.text}\n" for e in examples)
    )
    for number, example in enumerate(examples):
        folder = tmp_path / "classes" / example.label
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:02d}.txt").write_text(example.text)
    assert read_labelled(source) == examples
    assert read_labelled(tmp_path / "a.csv") == examples
    assert read_labelled(tmp_path / "a.tsv") == examples
    assert sorted(read_labelled(tmp_path / "classes")) == sorted(examples)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", '{"text": "x", "label": "a"}\n{"text": "x"}\n', "line 2 of .* no \"text\" and"),
        ("a.jsonl", '{"text": "x", "label": "a"}\nnonsense\n', "line 2 of .* is not JSON"),
        ("a.jsonl", '{"text": "x", "label": "a"}\n', "one class, 'a', and two"),
        ("a.jsonl", '{"text": " ", "label": "a"}\n{"text": "x", "label": "b"}\n', "text 1 .*empty"),
        ("a.csv", "words,label\nx,a\n", "line 2 of"),
        ("a.jsonl", "", "no labelled texts"),
        ("a.txt", "x", "no collection of labelled texts"),
    ],
)
def test_what_is_no_labelled_text_is_named(tmp_path, name, content, said):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=said):
        read_labelled(tmp_path / name)


def test_it_learns_the_classes_and_a_run_opens_again(source, tmp_path):
    session = begin(config_of(source), tmp_path / "run")
    outcome = Trainer(session).run()
    assert outcome.val_loss < 0.1
    judge = open_classifier(tmp_path / "run")
    green, cow = judge.classify(["we saw a green one", "we saw a cow one"])
    assert next(iter(green)) == "colour" and next(iter(cow)) == "animal"
    assert sum(green.values()) == pytest.approx(1, abs=1e-5)
    assert session.objective.write(session.model, 60).startswith("8 of 8 held-out texts right")
    result = CliRunner().invoke(cli, ["classify", str(tmp_path / "run"), "we saw a red one"])
    assert result.exit_code == 0 and result.output.startswith("colour 9")
    with pytest.raises(UserError, match="classification, which makes no language model"):
        load_model(judge_run(tmp_path))


def judge_run(tmp_path):
    from tinygpt.runs.run import Run

    return Run.open(tmp_path / "run")


def test_held_out_texts_are_never_drawn(source, tmp_path):
    objective = Classification.prepare(config_of(source), tmp_path, None)
    held = {e for chosen, _ in objective.held_out() for e in chosen}
    batches = objective.batches(None, np.random.default_rng(0))
    drawn = [tuple(row[:n]) for _ in range(50) for row, n in zip(*next(batches)[:2], strict=True)]
    learned = objective.texts(objective.examples[:32])
    assert len([e for c, _ in objective.held_out() for e in c]) == 8 and held
    assert set(drawn) == {tuple(row[:n]) for row, n in zip(*learned[:2], strict=True)}


def test_resume_gives_the_same_bytes_without_the_source(source, tmp_path):
    config = config_of(source).replace("training", steps=12)
    whole = begin(config, tmp_path / "whole")
    Trainer(whole).run()
    left = iter(range(4))
    Trainer(begin(config, tmp_path / "parts"), stops=[lambda: next(left, "the test") or None]).run()
    source.unlink()
    parts = resume(tmp_path / "parts")
    assert Trainer(parts).run().step == 12
    for name, array in whole.model.state_dict().items():
        np.testing.assert_array_equal(array, parts.model.state_dict()[name], err_msg=name)


def test_a_base_brings_its_weights_and_its_tokenizer(source, tmp_path):
    (tmp_path / "text.txt").write_text("we saw a red green blue dog cat cow one. " * 60)
    base = begin(from_dict({
        "model": MODEL, "data": {"source": str(tmp_path / "text.txt"), "by_position": True},
        "training": RECIPE | {"steps": 3},
    }), tmp_path / "base")
    Trainer(base).run()
    session = begin(config_of(source, base=str(tmp_path / "base")), tmp_path / "run")
    for name, array in base.model.state_dict().items():
        np.testing.assert_array_equal(array, session.model.encoder.state_dict()[name])
    assert session.objective.tokenizer.to_json() == base.run.tokenizer.to_json()
    session.save()
    other = config_of(source, base=f"{tmp_path}/run/../base")  # the same place, said otherwise
    again = resume(tmp_path / "run", lambda own: other)
    assert again.model.encoder.shape == base.model.shape


def test_a_decoder_is_no_base(source, tmp_path):
    (tmp_path / "text.txt").write_text("we saw a red dog. " * 60)
    decoder = {**MODEL, "family": "gpt"}
    Trainer(begin(from_dict({
        "model": decoder, "data": {"source": str(tmp_path / "text.txt"), "by_position": True},
        "training": RECIPE | {"steps": 1},
    }), tmp_path / "base")).run()
    with pytest.raises(UserError, match=r"is a decoder, and objective = \"classification\""):
        begin(config_of(source, base=str(tmp_path / "base")), tmp_path / "run")


@pytest.mark.parametrize("pool", ["mean", "first"])
def test_padding_does_not_change_a_text(source, tmp_path, pool):
    config = config_of(source).replace("head", pool=pool)
    objective = Classification.prepare(config, tmp_path, None)
    model = objective.build(np.random.default_rng(0)).eval()
    short, long = Labelled("we saw", "animal"), Labelled("we saw a green one", "colour")
    batch, alone = objective.texts([short, long]), objective.texts([short])
    assert batch.ids.shape[1] > alone.ids.shape[1]
    np.testing.assert_allclose(
        model(batch.ids, batch.lengths).data[:1], model(alone.ids, alone.lengths).data, atol=1e-6
    )
