"""The dial chooses by the laws, round what is set by hand, and refuses what cannot be."""

import pytest

from tinygpt.config import ConfigError, from_dict
from tinygpt.planning import dial
from tinygpt.planning.laws import Case, bits_per_byte
from tinygpt.planning.probe import Measured
from tinygpt.pretraining.objective import Pretraining
from tinygpt.text import DataError, load_corpus

TEXT = dial.Text(10**7, 70, 1, {None: 1.0, 512: 2.0, 1024: 2.45, 2048: 2.8, 4096: 3.2}, 1.0)
SPEED = 1e11


@pytest.fixture(scope="module")
def looked_at(tiny_text):
    return dial.look_at(load_corpus(tiny_text))


def test_a_text_is_measured(looked_at, tiny_text):
    text = tiny_text.read_text()
    assert looked_at.bytes == len(text) and looked_at.documents == 1
    assert looked_at.alphabet == len(set(text)) and looked_at.bytes_per_token[None] == 1.0
    assert set(looked_at.bytes_per_token) == {None}  # so few words need no 512 pieces


def test_larger_vocabularies_hold_more_bytes_in_a_token():
    text = dial.look_at(load_corpus("stories", stories_mb=0.5))
    sizes = [text.bytes_per_token[v] for v in (None, 512, 1024)]
    assert sizes == sorted(sizes) and sizes[1] > 1.5


def test_of_a_large_text_all_parts_are_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(dial, "SAMPLE", 4 * dial.CHUNK)
    path = tmp_path / "long.txt"
    path.write_text("a" * 40 * dial.CHUNK + "é\n" * 20 * dial.CHUNK)
    text = dial.look_at(load_corpus(path))
    assert text.bytes == path.stat().st_size and text.alphabet == 3
    assert 1 < text.bytes_per_token[None] < 2


def test_too_little_text_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("abc")
    with pytest.raises(DataError, match="3 characters"):
        dial.look_at(load_corpus(tmp_path / "a.txt"))


def test_more_time_takes_larger_models_and_more_tokens():
    sizes, tokens, bits = [], [], []
    for minutes in (1, 5, 20, 60, 240):
        config, expected, _ = dial.choose(TEXT, 60 * minutes, SPEED)
        recipe, shape = config.training, config.model
        sizes.append(shape.n_layers * shape.d_model**2)
        tokens.append(recipe.steps * recipe.batch_size * shape.context)
        bits.append(expected)
    assert sizes == sorted(sizes) and sizes[-1] > sizes[0]
    assert tokens == sorted(tokens) and bits == sorted(bits, reverse=True)


def test_a_machine_twice_as_fast_is_twice_the_time():
    assert dial.choose(TEXT, 600, SPEED) == dial.choose(TEXT, 300, 2 * SPEED)


def test_a_small_text_is_not_learned_by_heart():
    small = TEXT._replace(bytes=50_000)
    chosen = dial.choose(small, 8 * 3600, SPEED)
    recipe, once = chosen.config.training, 45_000 / TEXT.bytes_per_token[512]
    assert not chosen.whole and chosen.config.model.dropout > 0
    assert recipe.steps * recipe.batch_size * chosen.config.model.context < 200 * once


def test_of_a_very_small_text_enough_is_held_out_for_a_context():
    text = TEXT._replace(bytes=1000, bytes_per_token={None: 1.0})
    assert dial.choose(text, 60, SPEED).config.model.context == 50
    assert dial.choose(text, 60, SPEED, ["model.context=80"]).config.model.context == 80


def test_what_is_set_by_hand_stays():
    hand = ["model.d_model=200", "model.n_layers=3", "training.batch_size=5",
            "tokenizer.vocab_size=2048", "tokenizer.kind=bpe", "model.dropout=0.05"]
    config, _, _ = dial.choose(TEXT, 600, SPEED, hand)
    shape = config.model
    assert (shape.d_model, shape.n_layers, shape.dropout) == (200, 3, 0.05)
    assert 200 % shape.n_heads == 0 and 200 // shape.n_heads >= dial.HEAD
    assert config.training.batch_size == 5 and shape.vocab_size == 2048
    assert dial.choose(TEXT, 600, SPEED, ["tokenizer.kind=char"]).config.tokenizer.kind == "char"
    heads = dial.choose(TEXT, 600, SPEED, ["model.n_heads=7"]).config.model
    assert heads.n_heads == 7 and heads.d_model % 7 == 0
    steps = dial.choose(TEXT, 600, SPEED, ["training.steps=123"])
    assert steps.config.training.steps == 123 and not steps.whole
    llama = dial.choose(TEXT, 600, SPEED, ["model.family=llama"]).config.model
    assert llama.positions == "rope"


def test_what_is_not_chosen_for_is_refused():
    with pytest.raises(ConfigError, match="go on with a text"):
        dial.choose(TEXT, 600, SPEED, ["model.family=bert"])
    with pytest.raises(ConfigError, match="more --minutes"):
        dial.choose(TEXT, -1, SPEED)
    with pytest.raises(ConfigError, match="stepz"):
        dial.choose(TEXT, 600, SPEED, ["training.stepz=4"])


def test_work_is_of_tokens_and_of_what_every_step_moves():
    plain = from_dict({"model": {"positions": "alibi"}}).model
    each = (dial.work(plain, 2000) - dial.work(plain, 1000)) / 1000
    assert each == pytest.approx(plain.flops_per_token, rel=1e-6)
    pairs = from_dict({"model": {"positions": "alibi", "bigrams": True}}).model
    more = dial.work(pairs, 768) / dial.work(plain, 768)
    assert 1.005 < more < 1.03  # measured: a step of S takes 1.01 times as long


def timed(monkeypatch, seconds, by_hand=(), **recipe):
    """`within` of a step of 0.1 s."""
    measured = Measured(0, 0, 0, 0, recipe.get("batch_size", 12), (0.08, 0.08, 0.08), 0.02)
    monkeypatch.setattr(dial, "measure", lambda objective, seconds: measured)
    monkeypatch.setattr(Pretraining, "data_tokens", lambda self: (9000, 1000))
    training = {"steps": dial.MOST, "eval_tokens": None, **recipe}
    return dial.within(Pretraining(from_dict({"training": training})), seconds, 1.0, by_hand)


def test_steps_fill_the_time_that_evaluations_leave(monkeypatch):
    objective, step, last = timed(monkeypatch, 101.0)
    assert step == pytest.approx(0.1) and 0 < last < 0.1
    steps = objective.config.training.steps
    assert steps == int((100 - (dial.EVALUATIONS + 1) * last) / step)
    assert dial.EVALUATIONS <= steps // objective.config.training.eval_every


def test_too_short_a_time_is_refused_with_one_that_would_do(monkeypatch):
    with pytest.raises(ConfigError, match=r"Give 0\.1 more --minutes") as caught:
        timed(monkeypatch, 2.0)
    assert caught.value.exit_code == 2
    assert timed(monkeypatch, 6.0).objective.config.training.steps >= dial.MIN_STEPS


def test_a_recipe_set_by_hand_stays(monkeypatch):
    hand = {"steps": 30, "eval_every": 7, "warmup_steps": 9}
    recipe = timed(monkeypatch, 101.0, tuple(hand), **hand).objective.config.training
    assert {name: getattr(recipe, name) for name in hand} == hand


CASE = Case(8e5, 7e4, 512, 2.0, 5e5, 5e5, 0.0)


def test_the_laws_praise_what_helps():
    def bits(**changes):
        return bits_per_byte(CASE._replace(**changes))

    assert bits(tokens=1e6) < bits() < bits(tokens=2e5)
    assert bits(text_tokens=1e6, tokens=1e6) < bits(tokens=1e6)  # new text teaches more
    assert bits(scale=2.0) == pytest.approx(2 * bits())
    many, heavy = {"tokens": 5e7, "parameters": 2e7}, 0.3
    assert bits(**many, dropout=heavy) < bits(**many)  # known by heart
    assert bits(dropout=heavy) > bits()  # hardly seen once
    assert 1 < bits() < 4
