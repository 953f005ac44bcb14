"""Learning hidden tokens: what is hidden, from whom, to the bit; and what an encoder refuses."""

import re

import numpy as np
import pytest
from click.testing import CliRunner

import tinygpt
from tinygpt.cli import cli
from tinygpt.config import ConfigError, from_dict, load_config
from tinygpt.errors import UserError
from tinygpt.model import Encoder, build
from tinygpt.model.encoder import NOT_ASKED
from tinygpt.pretraining.config import MaskingConfig
from tinygpt.pretraining.masked import Masked, Masker, filled_in
from tinygpt.tokenizer import END_OF_TEXT, MASK, CharTokenizer
from tinygpt.training.begin import begin, resume
from tinygpt.training.trainer import Trainer

LETTERS = CharTokenizer("abcdefghijklmnopqrstuvwxyz", (END_OF_TEXT, MASK))
OPENING, HIDDEN = LETTERS.special_id(END_OF_TEXT), LETTERS.special_id(MASK)


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """Thirty short documents of few words."""
    folder = tmp_path_factory.mktemp("texts")
    rng = np.random.default_rng(0)
    words = "red hat cat sat mat ran dog and the on".split()
    for number in range(30):
        text = " ".join(rng.choice(words, 60)) + "."
        (folder / f"{number:02d}.txt").write_text(text)
    return folder


@pytest.fixture(scope="module")
def config(texts):
    return from_dict({
        "model": {"family": "bert", "n_layers": 2, "n_heads": 2, "d_model": 16, "context": 16,
                  "dropout": 0.1},
        "data": {"source": str(texts), "split": [0.8, 0.2, 0.0]},
        "training": {
            "steps": 12, "batch_size": 4, "lr": 1e-2, "min_lr": 1e-3, "warmup_steps": 3,
            "eval_every": 6, "checkpoint_every": 4, "sample_every": None,
        },
    })


def masked(ids, **settings):
    return Masker(LETTERS, MaskingConfig(**settings))(ids, np.random.default_rng(1))


def test_a_seventh_is_asked_for_and_most_of_it_hidden():
    """15 %; of those 80 % masked, 10 % another token, 10 % left: by 40,000 tokens, 4 sigma."""
    ids = np.random.default_rng(0).integers(0, 26, (400, 100))
    batch = masked(ids)
    asked = batch.targets != NOT_ASKED
    assert (asked.sum(axis=1) == 15).all() and batch.weight == 6000
    np.testing.assert_array_equal(batch.targets[asked], ids[asked])
    np.testing.assert_array_equal(batch.ids[~asked], ids[~asked])
    shown = batch.ids[asked]
    assert (shown == HIDDEN).mean() == pytest.approx(0.8, abs=0.021)
    assert (shown == ids[asked]).mean() == pytest.approx(0.1 + 0.1 / 26, abs=0.016)
    others = shown[(shown != HIDDEN) & (shown != ids[asked])]
    assert set(others) == set(range(26))  # any letter, and nothing that is no letter
    place = asked.mean(axis=0)
    assert place.min() > 0.07 and place.max() < 0.23  # nowhere rarely or often


def test_settings_of_masking_are_obeyed():
    ids = np.random.default_rng(0).integers(0, 26, (20, 50))
    batch = masked(ids, share=0.3, masked=0.0, random=0.0)
    assert batch.weight == 20 * 15
    np.testing.assert_array_equal(batch.ids, ids)
    everything = masked(ids, share=1.0, masked=1.0, random=0.0)
    assert (everything.ids == HIDDEN).all()
    np.testing.assert_array_equal(everything.targets, ids)


def test_no_opening_is_hidden_and_texts_do_not_see_each_other():
    ids = np.random.default_rng(0).integers(0, 26, (50, 20))
    ids[:, [4, 9]] = OPENING
    batch = masked(ids, share=0.9)
    assert (batch.targets[:, [4, 9]] == NOT_ASKED).all()
    assert (batch.ids[:, [4, 9]] == OPENING).all()
    assert batch.bounds.first[0].tolist() == [0] * 4 + [4] * 5 + [9] * 11
    assert batch.bounds.last[0].tolist() == [4] * 4 + [9] * 5 + [20] * 11


def test_a_hidden_opening_of_the_text_does_not_move_the_bounds():
    """They are of the text as it is, whatever random tokens stand in it."""
    ids = np.random.default_rng(0).integers(0, 26, (50, 20))
    ids[:, 9] = OPENING
    batch = masked(ids, share=1.0)
    assert (batch.bounds.first[:, 9:] == 9).all() and (batch.bounds.last[:, :9] == 9).all()


def test_masks_of_held_out_text_are_always_the_same(config, tmp_path):
    objective = Masked.prepare(config, tmp_path / "run", None)
    other = objective.with_training(seed=99, batch_size=3)
    rows = [np.concatenate([b.targets for b in o.held_out() if b.ids.shape[1] == 16])
            for o in (objective, other)]
    np.testing.assert_array_equal(*rows)
    model = objective.build(np.random.default_rng(0))
    assert objective.evaluate(model) == objective.evaluate(model)
    assert objective.evaluate(model) == pytest.approx(other.evaluate(model), rel=1e-5)


def test_resume_gives_the_same_bytes(config, tmp_path):
    whole = begin(config, tmp_path / "whole")
    Trainer(whole).run()
    Trainer(begin(config, tmp_path / "parts"), stops=[Countdown(5)]).run()
    parts = resume(tmp_path / "parts")
    outcome = Trainer(parts).run()
    assert outcome.step == 12 and outcome.val_loss < 3.2
    for name, array in whole.model.state_dict().items():
        np.testing.assert_array_equal(array, parts.model.state_dict()[name], err_msg=name)


class Countdown:
    """A stop after some steps."""

    def __init__(self, steps):
        self.steps = steps

    def __call__(self):
        self.steps -= 1
        return "the test" if self.steps == 0 else None


@pytest.fixture(scope="module")
def run(config, tmp_path_factory):
    """A finished run, only read."""
    path = tmp_path_factory.mktemp("runs") / "run"
    Trainer(begin(config, path)).run()
    return path


def test_embeddings_are_unit_means_whatever_stands_beside_a_text(run):
    opened = tinygpt.open(run)
    found = opened.embed(["the red hat", "cat", "the dog ran and sat on the mat"])
    assert found.shape == (3, 16) and found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(found[1], opened.embed(["cat"])[0], atol=1e-6)
    ids = np.concatenate([
        [opened.tokenizer.special_id(END_OF_TEXT)], opened.tokenizer.encode_array("cat")
    ])
    mean = opened.model.hidden(ids[None].astype(np.int64)).data[0].mean(axis=0)
    np.testing.assert_allclose(found[1], mean / np.linalg.norm(mean), atol=1e-6)
    assert opened.embed([]).shape == (0, 16)


def test_the_embed_command_writes_a_vector_for_each_line(run, tmp_path):
    (tmp_path / "lines.txt").write_text("the cat\n\nred\n")
    out = tmp_path / "v.npy"
    result = CliRunner().invoke(
        cli, ["embed", str(run), str(tmp_path / "lines.txt"), "--out", str(out)]
    )
    assert result.exit_code == 0, result.output
    np.testing.assert_array_equal(np.load(out), tinygpt.open(run).embed(["the cat", "red"]))


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["generate"], "is an encoder.*classify or to embed"),
        (["chat"], "is an encoder.*classify or to embed"),
        (["quantize", "--text", __file__], "is a run of masked, whose next tokens say nothing"),
        (["classify", "a text"], "is a run of masked, which learns no classes"),
    ],
)
def test_what_an_encoder_cannot_do_is_said(run, command, said):
    result = CliRunner().invoke(cli, [command[0], str(run), *command[1:]], input="hello\n")
    text = result.output + str(result.exception)
    assert re.search(said, text), text
    assert isinstance(result.exception, UserError)


def test_the_loss_of_an_encoder_is_not_taken_for_a_decoders(run):
    with pytest.raises(UserError, match="is an encoder"):
        tinygpt.open(run).loss("the cat sat")


def test_a_decoder_embeds_nothing():
    from tinygpt.inference.embedding import embed
    from tinygpt.model import ModelShape

    model = build(ModelShape(vocab_size=28, context=8), None)
    with pytest.raises(UserError, match="is a decoder.*Train an encoder"):
        embed(model, LETTERS, ["abc"])


def test_the_objective_follows_from_the_assembly_and_a_contradiction_names_both(tmp_path):
    config = load_config("S", ["model.family=bert"])
    assert config.objective == "masked" and config.model.assembly == "encoder"
    assert load_config("S").objective == "pretraining"
    for name, model, both in (
        ("pretraining", {"family": "bert"}, ('assembly = "encoder"', '"pretraining"')),
        ("masked", {"family": "llama"}, ('assembly = "decoder"', '"masked"')),
        ("classification", {"family": "gpt"}, ('assembly = "decoder"', '"classification"')),
    ):
        with pytest.raises(ConfigError) as error:
            from_dict({"objective": name, "model": model})
        assert all(part in str(error.value) for part in both)
        assert error.value.exit_code == 2
    with pytest.raises(ConfigError, match="masking.masked = 0.8 and masking.random = 0.3"):
        from_dict({"objective": "masked", "masking": {"random": 0.3}})


def test_a_sample_shows_guess_and_truth():
    class Sure:
        """Says c everywhere."""

        training = False

        def __call__(self, ids, bounds):
            logits = np.zeros((*ids.shape, 28), np.float32)
            logits[..., 2] = 1
            return type("Logits", (), {"data": logits})()

        def eval(self):
            return self

        def train(self, mode=True):
            return self

        def modules(self):
            return [self]

    ids = LETTERS.encode_array("cab").astype(np.int64)[None]
    batch = masked(ids, share=1.0)
    assert filled_in(Sure(), LETTERS, batch) == "[c][c/a][c/b]"


def test_it_learns_to_fill_in_what_only_the_text_behind_tells(tmp_path):
    """b before y, d before x: whoever sees only what stands before can do no better than guess."""
    rng = np.random.default_rng(0)
    (tmp_path / "pairs.txt").write_text(" ".join(rng.choice(["by", "dx"], 2000)))
    session = begin(from_dict({
        "model": {"family": "bert", "n_layers": 1, "n_heads": 2, "d_model": 16, "context": 12,
                  "norm_place": "pre", "positions": "relative"},
        "masking": {"masked": 1.0, "random": 0.0},
        "data": {"source": str(tmp_path / "pairs.txt"), "by_position": True},
        "training": {"steps": 150, "batch_size": 16, "lr": 2e-2, "optimizer": "muon",
                     "warmup_steps": 5, "beta2": 0.99, "eval_every": None, "sample_every": None,
                     "checkpoint_every": None},
    }), tmp_path / "run")
    outcome = Trainer(session).run()
    assert isinstance(session.model, Encoder)
    assert outcome.val_loss < 0.3  # with all but the pair known, 2/3 log 2 = 0.46
