"""Parts that are taken away: the smaller model is the larger one without them; budgets are met."""

import itertools

import numpy as np
import pytest
from click.testing import CliRunner

from minigrad import no_grad
from tinygpt.cli import cli
from tinygpt.compression import budget, structured
from tinygpt.compression.methods import Asked, compress
from tinygpt.compression.quality import Reference
from tinygpt.compression.quantize import quantize_model
from tinygpt.errors import UsageError, UserError
from tinygpt.model import build
from tinygpt.model.shape import ModelShape

from .test_second_order import GPT2, LLAMA


@pytest.fixture
def tokens():
    return np.random.default_rng(3).integers(0, 48, 1500).astype(np.uint16)


def logits(model, tokens):
    with no_grad():
        return model(tokens[None, :32].astype(np.int64)).data


@pytest.fixture(params=[LLAMA, GPT2], ids=["llama", "gpt2"])
def model(request):
    made = build(request.param, np.random.default_rng(0)).eval()
    for parameter in made.parameters():  # no zeros: biases count too
        parameter.data += np.float32(0.01) * np.sign(parameter.data + 0.005)
    return made


def test_channels_that_carry_nothing_are_the_ones_to_go(model, tokens):
    hidden = model.shape.hidden
    left = round(0.75 * hidden / 16) * 16
    dead = [np.arange(n, hidden, 3)[: hidden - left] for n in range(model.shape.n_layers)]
    for block, which in zip(model.blocks, dead, strict=True):
        block.mlp.down.weight.data[:, which] = 0
    small = structured.shrink(model, "channels", 0.25, tokens)
    assert small.shape.d_ff == left < hidden
    assert logits(small, tokens) == pytest.approx(logits(model, tokens), abs=1e-5)
    assert small.count_parameters() == small.shape.parameters < model.count_parameters()


def test_sharing_layers_that_are_alike_changes_nothing(model, tokens):
    layers = model.shape.n_layers
    first = {k: v for k, v in model.state_dict().items() if k.startswith("blocks.0.")}
    for name, array in model.state_dict().items():
        if name.startswith("blocks."):
            array[...] = first[f"blocks.0.{name.split('.', 2)[2]}"]
    small = structured.shrink(model, "sharing", 1 - 1 / layers, tokens)
    assert small.shape.blocks == 1 and small.shape.n_layers == layers
    assert logits(small, tokens) == pytest.approx(logits(model, tokens), abs=1e-5)
    assert small.count_parameters() == small.shape.parameters < model.count_parameters()


def test_a_shared_block_is_the_mean_of_its_layers(model):
    layers, blocks = model.shape.n_layers, 2
    made = structured.sharing(model, blocks)
    for name, array in made.state_dict().items():
        if name.startswith("blocks."):
            _, block, rest = name.split(".", 2)
            own = [n for n in range(layers) if n * blocks // layers == int(block)]
            wanted = sum(model.state_dict()[f"blocks.{n}.{rest}"] for n in own) / len(own)
            assert array == pytest.approx(wanted, abs=1e-6)


def test_heads_that_add_nothing_are_the_ones_to_go(model, tokens):
    heads, kv_heads, size = model.shape.heads
    width = heads // kv_heads * size
    for number, block in enumerate(model.blocks):
        at = number % kv_heads * width
        block.attention.proj.weight.data[:, at : at + width] = 0
    small = structured.shrink(model, "heads", 0.5, tokens)
    assert small.shape.heads == (heads // 2, kv_heads // 2, size)
    assert logits(small, tokens) == pytest.approx(logits(model, tokens), abs=1e-5)


def test_a_layer_that_turns_nothing_is_the_one_to_go(model, tokens):
    quiet = model.shape.n_layers - 1
    block = model.blocks[quiet]
    for linear in (block.attention.proj, block.mlp.down):
        linear.weight.data[...] = 0
        if linear.bias is not None:
            linear.bias.data[...] = 0
    turned = structured.influence(model, tokens)
    assert turned.argmin() == quiet and turned[quiet] < 1e-6 < turned[:quiet].min()
    small = structured.shrink(model, "layers", 1 / model.shape.n_layers, tokens)
    assert small.shape.n_layers == model.shape.n_layers - 1
    assert logits(small, tokens) == pytest.approx(logits(model, tokens), abs=1e-5)


@pytest.mark.parametrize("part", ["channels", "heads"])
def test_what_stays_makes_up_for_what_goes(model, tokens, part, monkeypatch):
    right, errors = logits(model, tokens), []
    for _ in range(2):
        small = structured.shrink(model, part, 0.5, tokens)
        errors.append(np.square(logits(small, tokens) - right).mean())
        monkeypatch.setattr(structured, "made_up", lambda weight, second, kept: weight[:, kept])
    assert errors[0] < 0.9 * errors[1]
    assert (logits(model, tokens) == right).all()  # the larger one is as it was


def test_what_cannot_be_taken_away_is_refused(tokens):
    rng = np.random.default_rng(0)
    alibi = build(ModelShape(vocab_size=48, context=32, positions="alibi"), rng).eval()
    with pytest.raises(UserError, match="alibi"):
        structured.shrink(alibi, "heads", 0.5, tokens)
    with pytest.raises(UserError, match="leaves 0"):
        structured.shrink(alibi, "layers", 0.9, tokens)
    shared = build(ModelShape(vocab_size=48, context=32, n_blocks=1), rng).eval()
    with pytest.raises(UserError, match="share 1 blocks"):
        structured.shrink(shared, "layers", 0.5, tokens)
    encoder = build(ModelShape(vocab_size=48, context=32, assembly="encoder"), rng).eval()
    with pytest.raises(UserError, match="encoder"):
        structured.shrink(encoder, "layers", 0.5, tokens)


def test_a_budget_is_the_best_of_all_choices():
    """Against every choice there is, of five matrices and three schemes."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        table = {
            f"m{m}": {s: (int(rng.integers(10, 100)), float(rng.random())) for s in "abc"}
            for m in range(5)
        }
        least = sum(min(size for size, _ in row.values()) for row in table.values())
        allowed = int(rng.integers(least, 400))
        best = min(
            sum(row[s][1] for row, s in zip(table.values(), pick, strict=True))
            for pick in itertools.product("abc", repeat=5)
            if sum(row[s][0] for row, s in zip(table.values(), pick, strict=True)) <= allowed
        )
        chosen = budget.choose(table, allowed)
        assert sum(table[m][s][0] for m, s in chosen.items()) <= allowed
        assert sum(table[m][s][1] for m, s in chosen.items()) == pytest.approx(best)
    with pytest.raises(UserError, match="at least"):
        budget.choose(table, least - 1)


def test_bits_go_where_they_are_needed(model, tokens):
    """At the size of int4 a choice by what is lost loses no more than int4 everywhere, and less
    with a fifth of the bytes between int4 and int8."""
    table = budget.measure(model, tokens, 1000)
    size = sum(row["int4"][0] for row in table.values())
    chosen = budget.choose(table, size)
    taken = sum(table[name][scheme][0] for name, scheme in chosen.items())
    assert 0.95 * size < taken <= size
    reference = Reference(model, tokens, 1000)
    shape, arrays = model.shape, model.state_dict()
    losses = []
    more = sum(row["int8"][0] for row in table.values()) - size
    for scheme in ("int4", chosen, budget.choose(table, size + more // 5)):
        copy = build(shape, None)
        for name, array in copy.state_dict().items():
            array[...] = arrays[name]
        losses.append(reference.compare(quantize_model(copy.eval(), scheme)).kl)
    assert losses[1] <= losses[0] and losses[2] < 0.9 * losses[0]


@pytest.mark.parametrize("given, what", [
    ({"method": "gptq", "pattern": "2:4"}, "takes none"),
    ({"method": "wanda", "pattern": "2:4", "share": 0.3}, "is half"),
    ({"method": "wanda", "share": 1.5}, "between 0 and 1"),
    ({"method": "budget"}, "belong together"),
    ({"method": "gptq", "bytes": 10}, "belong together"),
])
def test_settings_that_contradict_each_other_are_refused(given, what):
    with pytest.raises(UsageError, match=what):
        Asked(**given)


def test_a_budget_that_no_file_meets_is_refused_before_anything_is_measured(
    model, tokens, monkeypatch
):
    def weigh(schemes):
        return 123_456 if schemes == budget.fewest(model) else 999_999

    monkeypatch.setattr(budget, "measure", lambda *given: pytest.fail("measured"))
    with pytest.raises(UserError, match=r"no file of this model has 0.12 MB.* takes 0.13 MB"):
        compress(model, Asked("budget", bytes=123_455), tokens, weigh)
    with pytest.raises(UserError, match="500 tokens, which say too little"):
        compress(model, Asked("budget", bytes=123_456), tokens[:500], weigh)


def test_the_command_line(tmp_path, monkeypatch):
    """Trained, cut, rounded to a budget; each opens again and writes."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.txt").write_text("the quick brown fox jumps over the lazy dog. " * 200)

    def run(*words):
        result = CliRunner().invoke(cli, [str(word) for word in words])
        assert result.exit_code == 0, result.output
        return result.output

    run("train", "S", "--data", "my.txt", "--out", "run", "--set", "training.steps=4",
        "--set", "training.sample_every=none", "--set", "model.n_layers=2",
        "--set", "model.d_model=64", "--set", "model.context=32")
    said = run("compress", "run", "--method", "channels", "--share", "0.25", "--out", "thin")
    assert "0.8" in said and "generate" in said
    run("compress", "thin", "--method", "gptq", "--calibration", "my.txt", "--text", "my.txt",
        "--out", "thin.tgpt")
    run("compress", "run", "--method", "budget", "--budget", "90KB", "--out", "run.tgpt")
    assert 0.97 * 90e3 < (tmp_path / "run.tgpt").stat().st_size <= 90e3
    for model in ("thin", "thin.tgpt", "run.tgpt"):
        assert run("generate", model, "--prompt", "the", "--max-tokens", "5", "--seed", "1")
    result = CliRunner().invoke(cli, ["compress", "thin", "--method", "awq"])
    assert result.exit_code == 1 and "--calibration FILE" in str(result.exception)
    run("compress", "thin", "--method", "magnitude", "--text", "my.txt")  # which reads none


def test_a_calibration_text_of_another_kind_is_told(tmp_path, tiny_text):
    run, text = tmp_path / "run", tiny_text.read_text()
    call = CliRunner().invoke
    shape = ("--set", "model.n_layers=1", "--set", "model.d_model=32", "--set", "model.context=16")
    call(cli, ["train", "--data", str(tiny_text), "--out", str(run), *shape, "--set",
               "training.steps=120", "--set", "training.sample_every=none", "--set",
               "training.lr=1e-2", "--set", "training.warmup_steps=5"])
    told = []
    for name, letters in (("own", text[:3000]), ("other", text[:3000][::-1])):
        path = tmp_path / f"{name}.txt"
        path.write_text(letters)
        made = call(cli, ["compress", str(run), "--method", "wanda", "--calibration",
                          str(path), "--eval-tokens", "100"])
        assert made.exit_code == 0
        told.append("as if it were of another language" in " ".join(made.output.split()))
    assert told == [False, True]
