"""A student learns a teacher's table, stops and goes on, heals, and is told what does not fit."""

import dataclasses

import numpy as np
import pytest
from click.testing import CliRunner

from minigrad import Tensor, nn
from minigrad.nn.quantized import dequantize, quantize
from tests.tinygpt.training.test_objectives import final_bytes
from tinygpt.cli.compression import compress
from tinygpt.cli.distillation import distill
from tinygpt.cli.training import train
from tinygpt.compression.divergence import divergence, filled, log_softmax, turned
from tinygpt.compression.quality import compare
from tinygpt.compression.quantize import quantize_model
from tinygpt.compression.straight import StraightEmbedding, StraightLinear
from tinygpt.compression.structured import without_layers
from tinygpt.compression.teacher import KEPT
from tinygpt.config import ConfigError, from_dict
from tinygpt.errors import UserError
from tinygpt.inference.scoring import mean_loss
from tinygpt.model import ModelShape, build
from tinygpt.pretraining.adopt import adopt
from tinygpt.pretraining.objective import Pretraining
from tinygpt.runs.run import Run
from tinygpt.tokenizer import CharTokenizer
from tinygpt.training.begin import begin, resume
from tinygpt.training.trainer import Trainer
from tinygpt.weights.open import load_model

LETTERS = "abcdefgh"
SMALL = {"n_layers": 1, "n_heads": 2, "d_model": 32, "context": 16}
RECIPE = {"steps": 12, "batch_size": 4, "lr": 1e-2, "min_lr": 1e-3, "warmup_steps": 2,
          "eval_every": None, "checkpoint_every": 5, "sample_every": None}


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def call(command, *arguments):
    return CliRunner().invoke(
        command, [str(one) for one in arguments], catch_exceptions=False, standalone_mode=False
    )


def trained(values, out):
    session = begin(from_dict(values), out)
    Trainer(session).run()
    return load_model(Run.open(out))


def slopes(f, x, d=1e-5):
    """Finite differences of f at x, all of them."""
    found = np.zeros_like(x)
    for i in np.ndindex(*x.shape):
        step = np.zeros_like(x)
        step[i] = d
        found[i] = (f(x + step) - f(x - step)) / (2 * d)
    return found


# What is measured.


@pytest.mark.parametrize("kind", ["forward", "reverse"])
@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_divergence_is_what_its_formula_says_and_its_gradient_the_slope(rng, kind, temperature):
    z, teacher = rng.standard_normal((2, 3, 7)) * 2
    log_p = log_softmax(teacher, temperature)

    def formula(x):
        log_q = log_softmax(x, temperature)
        a, b = (log_p, log_q) if kind == "forward" else (log_q, log_p)
        return temperature**2 * (np.exp(a) * (a - b)).sum() / 3

    logits = Tensor(z, requires_grad=True)
    loss = divergence(logits, log_p, temperature, kind)
    loss.backward()
    assert abs(loss.item() - formula(z)) < 1e-12
    assert np.abs(logits.grad - slopes(formula, z)).max() < 1e-8


def test_a_teacher_that_rules_a_token_out_costs_nothing_forward():
    with np.errstate(divide="ignore"):
        log_p = np.log(np.array([[0.5, 0.5, 0.0]]))
    loss = divergence(Tensor(np.zeros((1, 3)), requires_grad=True), log_p)
    assert loss.item() == pytest.approx(np.log(3 / 2))


@pytest.mark.parametrize("kind", ["forward", "reverse"])
def test_kept_tokens_diverge_as_those_and_the_rest_as_one(rng, kind):
    z, teacher = rng.standard_normal((2, 3, 7)) * 2
    log_p = log_softmax(teacher)
    ids = np.argsort(-log_p, axis=1)[:, :2]
    kept = np.take_along_axis(log_p, ids, axis=1)

    def coarse(x):
        p, q = (
            np.append(found, 1 - found.sum(1, keepdims=True), axis=1)
            for found in (np.exp(kept), np.take_along_axis(np.exp(log_softmax(x)), ids, axis=1))
        )
        a, b = (p, q) if kind == "forward" else (q, p)
        return (a * np.log(a / b)).sum() / 3

    logits = Tensor(z, requires_grad=True)
    loss = divergence(logits, filled(z, ids, kept), kind=kind)
    loss.backward()
    assert abs(loss.item() - coarse(z)) < 1e-12
    assert loss.item() < divergence(Tensor(z), log_p, kind=kind).item()
    assert np.abs(logits.grad - slopes(coarse, z)).max() < 1e-8


def test_all_tokens_kept_are_the_teacher(rng):
    z, teacher = rng.standard_normal((2, 3, 7))
    log_p = log_softmax(teacher)
    ids = np.tile(np.arange(7), (3, 1))
    assert np.abs(filled(z, ids, log_p) - log_p).max() < 1e-12


def test_the_angle_has_its_slope_and_knows_no_length(rng):
    x, wanted = rng.standard_normal((2, 4, 5))

    def formula(v):
        lengths = np.linalg.norm(v, axis=1) * np.linalg.norm(wanted, axis=1)
        return (1 - (v * wanted).sum(1) / lengths).mean()

    given = Tensor(x, requires_grad=True)
    loss = turned(given, wanted)
    loss.backward()
    assert abs(loss.item() - formula(x)) < 1e-9
    assert np.abs(given.grad - slopes(formula, x)).max() < 1e-8
    assert turned(Tensor(3 * wanted), wanted).item() == pytest.approx(0, abs=1e-12)


# The answer that is known: a table of which letter follows which.


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    """(a run whose model is the table, its text)."""
    rng = np.random.default_rng(1)
    size, width = len(LETTERS), 32
    follows = rng.dirichlet(np.full(size, 0.5), size)  # (before, after)
    letters = [0]
    for _ in range(30_000):
        letters.append(int(rng.choice(size, p=follows[letters[-1]])))
    folder = tmp_path_factory.mktemp("table")
    text = folder / "text.txt"
    text.write_text("".join(LETTERS[i] for i in letters))
    model = build(ModelShape(
        vocab_size=size, context=16, n_layers=1, n_heads=2, d_model=width, positions="rope",
        norm="rmsnorm", tied=False,
    ), rng)
    arrays = model.state_dict()
    for name, array in arrays.items():
        if name.startswith("blocks.") and "norm" not in name:
            array[...] = 0  # nothing is added to the token's own vector
    arrays["token_embedding.weight"][...] = np.eye(size, width)
    # The norm makes sqrt(width) of the 1.
    arrays["output.weight"][...] = 0
    arrays["output.weight"][:, :size] = np.log(follows).T / np.sqrt(width)
    adopt(model, CharTokenizer(LETTERS), None, folder / "run")
    return folder / "run", text


def of(table, soft, steps, **more):
    run, text = table
    return {
        "objective": "distillation", "model": {**SMALL, "positions": "rope"},
        "data": {"source": str(text), "split": [0.9, 0.1, 0.0], "by_position": True},
        "distillation": {"teacher": str(run), "soft": soft, **more},
        "training": {**RECIPE, "steps": steps, "batch_size": 8},
    }


def test_a_student_learns_a_table_from_a_third_of_the_tokens_that_samples_take(table, tmp_path):
    steps = 80
    soft = trained(of(table, 1.0, steps), tmp_path / "soft")
    hard = trained(of(table, 0.0, 3 * steps), tmp_path / "hard")
    teacher = load_model(Run.open(table[0]))
    held = CharTokenizer(LETTERS).encode_array(table[1].read_text()[-3000:])
    told, sampled = (compare(teacher, one, held, 2000).kl for one in (soft, hard))
    assert told <= 0.01 < sampled


@pytest.mark.parametrize("more", [
    {"divergence": "reverse"}, {"temperature": 2.0}, {"top": 6}, {"on_policy": 0.5},
    {"hidden": 0.3},
], ids=lambda more: next(iter(more)))
def test_every_way_of_listening_learns_the_table(table, tmp_path, more):
    student = trained(of(table, 1.0, 60, **more), tmp_path / "run")
    teacher = load_model(Run.open(table[0]))
    held = CharTokenizer(LETTERS).encode_array(table[1].read_text()[-3000:])
    assert compare(teacher, student, held, 2000).kl <= 0.04


@pytest.mark.parametrize("more", [{}, {"top": 3}, {"on_policy": 0.5}, {"hidden": 0.3}],
                         ids=["asked", "top", "on_policy", "hidden"])
def test_a_stopped_distillation_goes_on_to_the_bit(table, tmp_path, more):
    values = of(table, 0.8, 12, **more)
    straight, stopped = tmp_path / "straight", tmp_path / "stopped"
    Trainer(begin(from_dict(values), straight)).run()
    session = begin(from_dict(values), stopped)
    Trainer(session, stops=[lambda: "enough" if session.state.step >= 7 else None]).run()
    Trainer(resume(stopped)).run()
    assert final_bytes(stopped) == final_bytes(straight)


# Healing: the student begins as a smaller copy.


def test_a_base_that_was_cut_begins_as_it_is_and_heals(table, tmp_path):
    run, text = table
    values = of(table, 0.0, 60)
    del values["objective"], values["distillation"]
    values["model"]["n_layers"] = 3
    parent = trained(values, tmp_path / "parent")
    cut = without_layers(parent, np.array([0, 2]))
    adopt(cut, CharTokenizer(LETTERS), None, tmp_path / "cut")
    held = CharTokenizer(LETTERS).encode_array(text.read_text()[-3000:])
    before = mean_loss(cut, held, 2000, 8)
    for teacher in (str(tmp_path / "parent"), None):
        healing = {
            **of(table, 0.9, 40), "base": str(tmp_path / "cut"),
            "distillation": {"teacher": teacher},
        }
        del healing["model"]
        out = tmp_path / f"healed-{teacher is None}"
        session = begin(from_dict(healing), out)
        assert mean_loss(session.model, held, 2000, 8) == before
        Trainer(session).run()
        assert session.config.model == dataclasses.replace(cut.shape)
        assert mean_loss(load_model(Run.open(out)), held, 2000, 8) < before - 0.002


# Trained through the rounding that it will get.


@pytest.mark.parametrize("kind", [nn.Linear, nn.Embedding])
def test_a_straight_module_computes_rounded_and_learns_float(rng, kind):
    module = kind(8, 40, rng=rng)
    through = {nn.Linear: StraightLinear, nn.Embedding: StraightEmbedding}[kind](module, "int4")
    seen = dequantize(quantize(module.weight.data, "int4"))
    ids = np.array([3, 3, 1])
    x = rng.standard_normal((3, 8)).astype(np.float32) if kind is nn.Linear else ids
    y = through(Tensor(x) if kind is nn.Linear else x)
    assert y.data == pytest.approx(x @ seen.T if kind is nn.Linear else seen[ids], abs=1e-5)
    y.sum().backward()
    wanted = np.tile(x.sum(0), (40, 1)) if kind is nn.Linear else np.bincount(ids, minlength=8)
    slope = module.weight.grad if kind is nn.Linear else module.weight.grad[:, 0]
    assert slope == pytest.approx(wanted, abs=1e-5)
    assert dict(through.named_parameters()).keys() == dict(module.named_parameters()).keys()


def test_training_through_int4_makes_an_int4_file_lose_less(table, tmp_path):
    run, text = table
    parent = trained(of(table, 1.0, 40), tmp_path / "smooth")
    for block in parent.blocks:
        for matrix in (block.attention.qkv, block.mlp.up):
            matrix.weight.data[:, ::16] *= 8  # two large weights in a group: the rest round to 0
    adopt(parent, CharTokenizer(LETTERS), None, tmp_path / "parent")
    held = CharTokenizer(LETTERS).encode_array(text.read_text()[-3000:])
    values = {**of(table, 1.0, 30, rounded="int4"), "base": str(tmp_path / "parent")}
    values["distillation"]["teacher"] = str(tmp_path / "parent")
    values["training"] |= {"lr": 2e-3, "min_lr": 2e-4}
    del values["model"]
    session = begin(from_dict(values), tmp_path / "through")
    Trainer(session).run()
    through, plain = (load_model(Run.open(tmp_path / name)) for name in ("through", "parent"))
    assert through.state_dict().keys() == parent.state_dict().keys()
    file, nearest = (quantize_model(one, "int4") for one in (through, plain))
    objective = session.objective
    assert objective.evaluate(session.model) == Pretraining.evaluate(objective, file)
    assert compare(parent, file, held, 2000).kl < 0.5 * compare(parent, nearest, held, 2000).kl


# On the command line, and of other kinds.


def test_a_teacher_of_another_vocabulary_teaches_by_text_alone(table, tmp_path):
    run, text = table
    other = tmp_path / "other"
    model = build(ModelShape(vocab_size=4, **SMALL), np.random.default_rng(0))
    adopt(model, CharTokenizer("abc "), None, other)
    with pytest.raises(UserError, match="another vocabulary than the student"):
        call(distill, run, "--student", other, "--data", text, "--out", tmp_path / "no")
    assert not (tmp_path / "no").exists()
    call(distill, run, "--by", "text", "--student", "S", "--out", tmp_path / "told",
         "--set", "model.d_model=16", "--set", "model.n_layers=1", "--set", "training.steps=3",
         "--set", "distillation.written=10000", "--set", "model.context=16",
         "--set", "training.sample_every=none")
    written = (tmp_path / "told" / "written.txt").read_text()
    assert set(written) <= {*LETTERS, "\n"} and len(written) > 9_000
    assert Run.open(tmp_path / "told").newest_good().step == 3


def test_the_teachers_own_text_is_split_as_it_was(tmp_path, tiny_text):
    call(train, "--data", tiny_text, "--out", tmp_path / "big", *small(steps=2))
    call(distill, tmp_path / "big", "--out", tmp_path / "less", "--student", "S",
         *small(steps=2), "--set", "training.seed=5")
    made = [Run.open(tmp_path / name) for name in ("big", "less")]
    tokens = [sorted((run.path / "tokens").glob("train*")) for run in made]
    assert [a.read_bytes() for a in tokens[0]] == [b.read_bytes() for b in tokens[1]]
    again = call(distill, "--resume", "--out", tmp_path / "less", *small(steps=4))
    assert again.exit_code == 0 and Run.open(tmp_path / "less").newest_good().step == 4
    smaller = call(compress, tmp_path / "less", "--method", "gptq", "--calibration-tokens", 1024,
                   "--eval-tokens", 200)
    assert "perplexity" in smaller.output


def small(steps):
    values = {"model.n_layers": 1, "model.n_heads": 2, "model.d_model": 16, "model.context": 16,
              "training.steps": steps, "training.sample_every": "none"}
    return [part for k, v in values.items() for part in ("--set", f"{k}={v}")]


def test_an_encoder_learns_from_an_encoder(tmp_path, tiny_text):
    shape = {"assembly": "encoder", "n_layers": 2, "n_heads": 2, "d_model": 32, "context": 16}
    data = {"source": str(tiny_text), "by_position": True}
    teacher = tmp_path / "teacher"
    trained({"objective": "masked", "model": shape, "data": data,
             "training": {**RECIPE, "steps": 30}}, teacher)
    values = {
        "objective": "masked-distillation", "model": {**shape, "n_layers": 1, "d_model": 16},
        "data": data, "distillation": {"teacher": str(teacher), "soft": 0.6, "hidden": 0.2,
                                       "temperature": 2.0},
        "training": {**RECIPE, "steps": 60},
    }
    seen = []
    session = begin(from_dict(values), tmp_path / "student")
    before = session.objective.evaluate(session.model, 2000)
    Trainer(session).run()
    _, seen = session.objective.loss(session.model, next(session.batches))
    assert set(seen) == {"soft", "text", "hidden"}
    assert session.objective.evaluate(session.model, 2000) < before - 0.3
    assert load_model(Run.open(tmp_path / "student")).shape.d_model == 16


def test_what_a_teacher_said_is_checked_when_training_goes_on(table, tmp_path):
    session = begin(from_dict(of(table, 1.0, 12, top=3)), tmp_path / "run")
    Trainer(session, stops=[lambda: "enough" if session.state.step >= 6 else None]).run()
    kept = tmp_path / "run" / KEPT
    kept.write_bytes(kept.read_bytes()[:-10])
    with pytest.raises(UserError, match="what the teacher said, cannot be used"):
        resume(tmp_path / "run")


@pytest.mark.parametrize("section, message", [
    ({"top": 4, "temperature": 2.0}, "keeps what it said once"),
    ({"top": 4, "on_policy": 0.5}, "keeps what it said once"),
    ({"rounded": "int4", "on_policy": 0.5}, "rounded anew at every step"),
    ({"soft": 1.5}, "from 0 to 1"),
    ({"teacher": None}, "learns from a teacher, and there is none"),
])
def test_what_cannot_be_asked_is_said_in_a_sentence(table, section, message):
    with pytest.raises(ConfigError, match=message):
        from_dict(of(table, steps=5, **{"soft": 1.0, **section}))


def test_a_student_with_a_longer_context_than_its_teacher_is_refused(table, tmp_path):
    values = of(table, 1.0, 5)
    values["model"]["context"] = 32
    with pytest.raises(UserError, match="the teacher reads 16 tokens"):
        begin(from_dict(values), tmp_path / "run")
