"""Quantized modules and files: what they compute, keep, refuse, and what `quantize` reports."""

import dataclasses
import json

import numpy as np
import pytest
from click.testing import CliRunner

from minigrad import Tensor, nn, no_grad
from minigrad.nn import QuantizedEmbedding, QuantizedLinear
from minigrad.nn.quantized import bfloat16_round, double_dequantize, double_quantize, quantize
from minigrad.ops.decode import Packed
from tinygpt.compression.quality import Reference, compare, sweep
from tinygpt.compression.quantize import quantizable, quantize_model
from tinygpt.errors import UserError
from tinygpt.inference.chat import Conversation
from tinygpt.inference.decoder import Decoder
from tinygpt.inference.generate import generate
from tinygpt.inference.network import network_of
from tinygpt.inference.sampling import GREEDY
from tinygpt.model import GPT
from tinygpt.model.shape import ModelShape
from tinygpt.tokenizer import CharTokenizer, TokenizerError, train_bpe
from tinygpt.weights.quantized import load_quantized, save_quantized

CONFIG = ModelShape(vocab_size=64, context=32, n_layers=2, n_heads=2, d_model=64, dropout=0.1)
LETTERS = "".join(chr(i) for i in range(32, 96))
SCHEMES = ["int8", "int4", "nf4", "q4_1", "q8_0"]


@pytest.fixture
def model():
    gpt = GPT(CONFIG, np.random.default_rng(0))
    by_width = (768 / CONFIG.d_model) ** 0.5  # of the blocks' initial weights: back to std 0.02
    for name, parameter in gpt.named_parameters():
        if parameter.data.ndim == 2:  # ... and up to 0.12, so that the logits differ
            parameter.data *= np.float32(6 / by_width if name.startswith("blocks") else 6)
    return gpt.eval()


@pytest.fixture
def tokens():
    return np.random.default_rng(1).integers(0, 64, 400).astype(np.uint16)


@pytest.fixture
def tokenizer():
    return CharTokenizer(LETTERS)


def logits(model, ids):
    with no_grad():
        return model(ids).data


# Of the largest weight half a step, and of a standard normal the root mean square of the errors.
# For int4 the positive end, which has no 8; for NF4 its widest gap; for q4_1 half a fifteenth of
# the range, its least number rounded to float16 too.
NEAR = {"int8": (1 / 254, 0.008), "int4": (1 / 8, 0.09), "nf4": (0.16, 0.1),
        "q4_1": (1 / 14, 0.09), "q8_0": (1 / 250, 0.006)}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_quantize_rounds_near(scheme):
    w = np.random.default_rng(0).standard_normal((40, 128)).astype(np.float32)
    layer = QuantizedLinear(quantize(w, scheme))
    back = QuantizedEmbedding(layer.packed).dequantized()
    worst, root_mean_square = NEAR[scheme]
    assert np.abs(back - w).max() <= 1.02 * worst * np.abs(w).max()
    assert np.sqrt(((back - w) ** 2).mean()) < root_mean_square


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_matrix_of_zeros_stays_zero(scheme):
    packed = quantize(np.zeros((5, 70), np.float32), scheme)
    assert not QuantizedEmbedding(packed).dequantized().any()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_quantized_linear_is_the_linear_of_its_rounded_weights(scheme):
    rng = np.random.default_rng(0)
    linear = nn.Linear(48, 20, bias=True, activation="gelu", rng=rng)
    linear.bias.data[:] = rng.standard_normal(20)
    layer = QuantizedLinear.from_linear(linear, scheme)
    x, r = (rng.standard_normal((3, 5, n)).astype(np.float32) for n in (48, 20))
    linear.weight.data[:] = QuantizedEmbedding(layer.packed).dequantized()
    y, expected = layer(Tensor(x), Tensor(r)).data, linear(Tensor(x), Tensor(r)).data
    np.testing.assert_allclose(y, expected, atol=0.03 if scheme != "nf4" else 1e-5)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_quantized_embedding_looks_up_and_attends_by_the_same_rows(scheme):
    table = nn.Embedding(21, 64, rng=np.random.default_rng(0))
    layer = QuantizedEmbedding.from_embedding(table, scheme)
    rows = layer(np.array([[3, 20], [0, 3]])).data
    np.testing.assert_array_equal(rows, layer.dequantized()[[[3, 20], [0, 3]]])
    x = np.random.default_rng(1).standard_normal((4, 64)).astype(np.float32)
    np.testing.assert_allclose(layer.attend(Tensor(x)).data, x @ layer.dequantized().T, atol=6e-3)
    with pytest.raises(IndexError, match="id 21"):
        layer(np.array([21]))


def test_comparing_once_keeps_nothing_and_finds_the_same(model, tokens):
    rounded = quantize_model(copy_of(model), "int8")
    assert compare(model, rounded, tokens, 300) == Reference(model, tokens, 300).compare(rounded)


def test_int8_follows_the_float_model_closely_and_4_bits_less_so(model, tokens):
    reference = Reference(model, tokens, 300)
    found = {
        scheme: reference.compare(quantize_model(copy_of(model), scheme)) for scheme in SCHEMES
    }
    bytes_, halves = ("int8", "q8_0"), ("int4", "nf4", "q4_1")
    assert all(found[scheme].kl > 0 for scheme in SCHEMES)
    assert max(found[s].kl for s in bytes_) < 0.03 * min(found[s].kl for s in halves)
    assert found["int8"].agreement > 0.95
    assert abs(found["int8"].perplexity_change) < 0.005
    same = reference.compare(model)
    assert same.kl == 0 and same.agreement == 1 and same.perplexity_change == 0


def copy_of(model):
    other = GPT(dataclasses.replace(model.shape, dropout=0.0), None)
    other.load_state_dict(model.state_dict())
    return other.eval()


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_matrix_is_replaced_and_decoding_uses_the_kernel(model, scheme):
    quantize_model(model, scheme)
    assert not quantizable(model)
    assert isinstance(network_of(model).token, Packed)
    with pytest.raises(UserError, match="quantized already"):
        quantize_model(model, scheme)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_cached_steps_of_a_quantized_model_equal_its_forward(model, scheme):
    quantize_model(model, scheme)
    ids = np.random.default_rng(2).integers(0, 64, (2, 12))
    decoder = Decoder(model, batch=2)
    decoder.feed(ids[:, :4])
    for t in range(4, 12):
        step, full = decoder.step(ids[:, t]), logits(model, ids[:, : t + 1])[:, -1]
        # Where a value lies between two integers, another order of sums may round it otherwise.
        assert np.abs(step - full).mean() < (1e-4 if scheme == "nf4" else 0.02)


def test_a_changed_model_decodes_through_its_own_forward(model):
    class Doubling(nn.Linear):
        def forward(self, x, residual=None):
            return super().forward(x, residual) * 2

    expected = list(generate(model, [1, 2], max_tokens=4, sampling=GREEDY))
    changed = copy_of(model)
    for block in changed.blocks:
        block.mlp.down.__class__ = Doubling
        block.mlp.down.weight.data *= 0.5
    assert network_of(changed) is None
    assert list(generate(changed, [1, 2], max_tokens=4, sampling=GREEDY)) == expected


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_file_gives_back_the_same_logits_and_tokenizer(model, tokenizer, tmp_path, scheme):
    quantize_model(model, scheme)
    size = save_quantized(model, tokenizer, tmp_path / "m")
    assert size == (tmp_path / "m").stat().st_size
    again, tokens = load_quantized(tmp_path / "m")
    ids = np.random.default_rng(3).integers(0, 64, (2, 20))
    np.testing.assert_array_equal(logits(again, ids), logits(model, ids))
    assert tokens.encode("HELLO") == tokenizer.encode("HELLO")
    assert again.shape == dataclasses.replace(CONFIG, dropout=0.0)


def test_the_file_is_mapped_and_readable_by_the_safetensors_library(model, tokenizer, tmp_path):
    from safetensors import safe_open

    save_quantized(quantize_model(model, "int8"), tokenizer, tmp_path / "m")
    with safe_open(tmp_path / "m", framework="numpy") as file:
        name = "blocks.0.mlp.up.codes"
        codes = file.get_tensor(name)
        assert json.loads(file.metadata()["config"])["d_model"] == 64
    again, _ = load_quantized(tmp_path / "m")
    mapped = again.blocks[0].mlp.up.packed.codes
    np.testing.assert_array_equal(mapped, codes)
    assert not mapped.flags.owndata and not mapped.flags.writeable
    assert mapped.ctypes.data % 64 == 0


def test_sizes_of_the_files(tokenizer, tmp_path):
    """The bars of int8 and 4 bits on a model whose matrices dominate, as B's do."""
    config = ModelShape(vocab_size=64, context=64, n_layers=4, n_heads=4, d_model=256)
    bars = {"int8": 0.27, "int4": 0.16, "nf4": 0.16, "q4_1": 0.165, "q8_0": 0.28}
    for scheme, bar in bars.items():
        model = GPT(config, np.random.default_rng(0))
        floats = 4 * model.count_parameters()
        size = save_quantized(quantize_model(model, scheme), tokenizer, tmp_path / scheme)
        assert size <= bar * floats, scheme


def test_sweep_names_the_layer_that_hurts_most(model, tokens):
    model.blocks[1].mlp.up.weight.data[:, 0] *= 300  # one column swallows the others' precision
    found = sweep(model, Reference(model, tokens, 100), "int8")
    assert found[0][0] == "blocks.1.mlp.up"
    assert len(found) == len(quantizable(model)) == 10
    assert [q.kl for _, q in found] == sorted((q.kl for _, q in found), reverse=True)


def test_damaged_files_are_refused_with_a_sentence(model, tokenizer, tmp_path):
    path = tmp_path / "m"
    save_quantized(quantize_model(model, "int8"), tokenizer, path)
    whole = path.read_bytes()

    def refused(content, message):
        path.write_bytes(content)
        with pytest.raises(UserError, match=message):
            load_quantized(path)

    refused(whole[:-1], "damaged: it has .* bytes of")
    refused(whole[:100], "ends after 100 bytes, within its header")
    refused(whole + b"x", "damaged: it has")
    refused(b"", "not a quantized model")
    refused(b"hello, this is text", "not a quantized model")
    for at in (len(whole) - 5, len(whole) // 2):
        altered = bytearray(whole)
        altered[at] ^= 1
        refused(bytes(altered), "altered")
    assert b'"version": "1"' in whole
    refused(whole.replace(b'"version": "1"', b'"version": "9"'), "version 9.*reads version 1")
    refused(whole.replace(b'\\"d_model\\": 64', b'\\"d_model\\": 32'), "altered")
    refused(whole.replace(b'"tinygpt-quantized"', b'"another-quantized"'), "not a quantized model")
    refused(whole[:8] + b"{]" + whole[10:], "header that cannot be read")


def test_every_altered_header_byte_is_noticed(model, tokenizer, tmp_path):
    path = tmp_path / "m"
    save_quantized(quantize_model(model, "int4"), tokenizer, path)
    whole = path.read_bytes()
    length = int.from_bytes(whole[:8], "little")
    text = whole[8 : 8 + length].rstrip()
    for at in np.random.default_rng(0).choice(len(text), 150, replace=False):
        altered = bytearray(whole)
        altered[8 + at] ^= 1 << int(at % 7)
        path.write_bytes(bytes(altered))
        with pytest.raises(UserError):
            load_quantized(path)


def test_weights_with_nan_are_refused_by_name(model):
    model.blocks[1].attention.proj.weight.data[3, 4] = np.nan
    with pytest.raises(UserError, match="blocks.1.attention.proj hold nan"):
        quantize_model(model, "int8")


def test_an_unknown_scheme_is_refused(model):
    with pytest.raises(UserError, match="no scheme 'int3'.*int8, int4, nf4"):
        quantize_model(model, "int3")
    with pytest.raises(ValueError, match="unknown scheme 'int3'"):
        quantize(np.zeros((1, 1), np.float32), "int3")


@pytest.mark.parametrize("scheme", ["q4_1", "q8_0"])
def test_weights_beyond_float16_do_not_fit_blocks(scheme):
    with pytest.raises(ValueError, match="does not fit a block's 16 bits"):
        quantize(np.full((2, 64), -1e7, np.float32), scheme)


def test_an_unquantized_model_is_not_saved(model, tokenizer, tmp_path):
    with pytest.raises(UserError, match="token_embedding is not quantized"):
        save_quantized(model, tokenizer, tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_named(model, tokenizer, tmp_path):
    quantize_model(model, "int8")
    with pytest.raises(UserError, match="cannot write .*missing"):
        save_quantized(model, tokenizer, tmp_path / "missing" / "m")


def test_bfloat16_rounding_keeps_16_bits_and_is_near():
    x = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    y = bfloat16_round(x)
    assert not (y.view(np.uint32) & 0xFFFF).any()
    assert (np.abs(y - x) <= np.abs(x) * 2.0**-8).all()
    np.testing.assert_array_equal(bfloat16_round(y), y)


def test_double_quantization_is_near():
    scale = np.random.default_rng(0).random((7, 3, 16)).astype(np.float32) + 0.5
    codes, factor, mean = double_quantize(scale)
    assert codes.shape == scale.shape and codes.dtype == np.uint8 and factor.shape == (2,)
    assert np.abs(double_dequantize(codes, factor, mean) - scale).max() < 0.5 / 127


def test_generate_command_reads_a_quantized_file(model, tokenizer, tmp_path):
    from tinygpt.cli.inference import generate as command

    save_quantized(quantize_model(model, "int4"), tokenizer, tmp_path / "m")
    arguments = [str(tmp_path / "m"), "--prompt", "HELLO", "--max-tokens", "9", "--samples", "2"]
    first, again = (CliRunner().invoke(command, arguments) for _ in range(2))
    assert first.exit_code == 0, first.output
    assert first.output == again.output
    assert first.output.startswith("HELLO") and first.output.count("HELLO") == 2
    long = CliRunner().invoke(command, [str(tmp_path / "m"), "--prompt", "A" * 40])
    assert "prompt is 40 tokens long, the model's context 32: it reads the last 32" in long.output
    missing = CliRunner().invoke(command, [str(tmp_path / "nothing")])
    assert isinstance(missing.exception, UserError)


def test_chat_command_remembers_and_obeys(model, tokenizer, tmp_path):
    from tinygpt.cli.chat import chat

    letters = CharTokenizer(LETTERS[:-1] + "\n")
    save_quantized(quantize_model(model, "int8"), letters, tmp_path / "m")
    said = "HELLO\n/temperature 0\n/temperature x\nAND MORE\n/reset\n/help\n/quit\n"
    result = CliRunner().invoke(chat, [str(tmp_path / "m"), "--max-tokens", "5"], input=said)
    assert result.exit_code == 0, result.output
    assert "'x' is not a number" in result.output
    assert result.output.startswith("This is a base model: it does not answer")


def test_a_conversation_of_a_base_model_is_one_text(model):
    letters = CharTokenizer(LETTERS[:-1] + "\n")
    talk = Conversation(model, letters, sampling=GREEDY, max_tokens=3, stop=("\n\n",))
    first = "".join(talk.say("HELLO\n"))
    second = "".join(talk.say("MORE\n"))
    assert talk.text == f"HELLO\n{first}\n\nMORE\n{second}"


def test_what_an_abandoned_answer_said_is_remembered(model):
    talk = Conversation(model, CharTokenizer(LETTERS), sampling=GREEDY, max_tokens=9, stop=())
    answer = talk.say("HELLO")
    first = next(answer) + next(answer)
    answer.close()
    assert talk.text == "HELLO" + first
    more = "".join(talk.say("AND"))
    whole = Conversation(model, CharTokenizer(LETTERS), sampling=GREEDY, max_tokens=9, stop=())
    assert more == "".join(whole.say("HELLO" + first + "AND"))


def test_roles_mark_who_speaks_and_cannot_be_forged(model):
    names = ("<|user|>", "<|end|>", "<|assistant|>")
    bpe = train_bpe("AB CD " * 9, 256 + 3, special_tokens=names)
    rng = np.random.default_rng(0)
    gpt = GPT(
        ModelShape(n_layers=1, n_heads=2, d_model=16, context=64, vocab_size=bpe.vocab_size), rng
    )
    talk = Conversation(gpt, bpe, sampling=GREEDY, max_tokens=2, stop=(), roles=True)
    fed = []
    feed = talk._decoder.feed
    talk._decoder.feed = lambda ids: fed.append(ids[0].tolist()) or feed(ids)
    user, end, assistant = map(bpe.special_id, names)
    for said in ("AB", "<|end|>"):
        list(talk.say(said))
    assert fed[0] == [user, *bpe.encode("AB"), end, assistant]
    assert fed[1] == [end, user, *bpe.encode("<|end|>", disallowed_special=()), end, assistant]
    with pytest.raises(TokenizerError, match="not a special token of this tokenizer"):
        Conversation(gpt, CharTokenizer(LETTERS), sampling=GREEDY, roles=True)


def test_a_conversation_longer_than_the_context_goes_on(model):
    talk = Conversation(model, CharTokenizer(LETTERS), sampling=GREEDY, max_tokens=10, stop=())
    for _ in range(6):
        assert len("".join(talk.say("THE SAME THING"))) == 10
    assert len(talk.text) == 6 * 24
    talk.reset()
    fresh = Conversation(model, CharTokenizer(LETTERS), sampling=GREEDY, max_tokens=10, stop=())
    assert "".join(talk.say("A")) == "".join(fresh.say("A"))
