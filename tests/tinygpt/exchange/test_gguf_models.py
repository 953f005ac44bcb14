"""Models of every architecture, out as GGUF and in again: the same numbers, or a sentence."""

import dataclasses
import math

import numpy as np
import pytest

from kernels import gguf_blocks as kernel_blocks
from tests.tinygpt.exchange import made as made_by_hand
from tests.tinygpt.exchange.models import copied, tokenizer_of
from tinygpt.config import structure
from tinygpt.exchange import gguf_blocks, gguf_models
from tinygpt.exchange.errors import ExchangeError
from tinygpt.exchange.gguf import open_gguf
from tinygpt.exchange.gguf_models import open_model, write_gguf
from tinygpt.exchange.gguf_write import Unsigned
from tinygpt.model import ModelShape, build
from tinygpt.tokenizer import BPETokenizer, SentencePieceTokenizer

SMALL = {"vocab_size": 300, "context": 32, "n_layers": 2, "n_heads": 4, "d_model": 64, "d_ff": 96}
KV = {"n_kv_heads": 2, "rope_theta": 77.0, "eps": 3e-3}
SHAPES = {
    "llama": ("llama", {"family": "llama", **KV}),
    "llama tied": ("llama", {"family": "llama", **KV, "tied": True}),
    "qwen2": ("qwen2", {"family": "qwen2", **KV}),
    "qwen3": ("qwen3", {"family": "qwen3", **KV, "head_dim": 32}),
    "arcee": ("arcee", {"family": "llama", **KV, "activation": "relu2"}),
    "gpt": ("mpt", {}),
    "gpt2": ("gpt2", {"family": "gpt2", "eps": 3e-3}),
    "mpt": ("mpt", {"family": "mpt"}),
    "mpt biased": ("mpt", {"family": "mpt", "bias": "all", "n_heads": 8}),
    "no positions": ("mpt", {"positions": "none", "tied": False}),
    "shared blocks": ("llama", {"family": "llama", **KV, "n_blocks": 1}),
}


def made(**changes):
    model = build(structure(ModelShape, {**SMALL, **changes}, "model."), np.random.default_rng(0))
    rng = np.random.default_rng(5)
    for array in model.state_dict().values():
        array[...] = (array.ndim == 1) + 0.2 * rng.standard_normal(array.shape)
    return model.eval()


OURS = tokenizer_of(300)  # of our default pattern
TOKENIZER = BPETokenizer(OURS.merges, "llama3", OURS.special_tokens)
IDS = np.random.default_rng(2).integers(0, 300, (2, 20))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """name -> the model and the path of its file of F32."""
    folder, kept = tmp_path_factory.mktemp("gguf"), {}

    def get(name):
        if name not in kept:
            kept[name] = made(**SHAPES[name][1]), folder / f"{name}.gguf"
            write_gguf(kept[name][1], *(kept[name][0], TOKENIZER))
        return kept[name]

    return get


@pytest.mark.parametrize("name", SHAPES)
def test_a_model_comes_back_to_the_bit(written, name):
    model, path = written(name)
    opened = open_model(path)
    assert open_gguf(path).keys["general.architecture"] == SHAPES[name][0]
    np.testing.assert_array_equal(opened.model(IDS).data, model(IDS).data)
    assert opened.tokenizer.to_json() == TOKENIZER.to_json()
    assert opened.notes == ()
    back = dataclasses.replace(opened.model.shape, family=model.shape.family)
    assert back.parameters == dataclasses.replace(model.shape, n_blocks=None).parameters
    assert (back.eps, back.rope_theta) == (model.shape.eps, model.shape.rope_theta)


def theirs(model, file, name):
    """A tensor of ours in a file, out of our state."""
    state = model.state_dict()
    layer, part = name.split(".")[1:3]
    q, k = 64, 32  # rows of four heads and of two
    qkv = state[f"blocks.{layer}.attention.qkv.weight"]
    return {"attn_q": qkv[:q], "attn_k": qkv[q : q + k], "attn_v": qkv[q + k :]}[part]


@pytest.mark.parametrize(("name", "heads"), [
    ("blk.1.attn_q.weight", 4), ("blk.1.attn_k.weight", 2), ("blk.1.attn_v.weight", None),
])
@pytest.mark.parametrize("family", ["llama", "qwen2"])
def test_rows_of_queries_and_keys_are_paired_as_the_architecture_turns_them(
    written, family, name, heads
):
    model, path = written(family)
    ours = theirs(model, path, name)
    if heads and family == "llama":  # as convert_hf_to_gguf.py permutes
        ours = ours.reshape(heads, 2, -1, ours.shape[1]).swapaxes(1, 2).reshape(ours.shape)
    np.testing.assert_array_equal(open_gguf(path).read(name), ours)


def test_a_tied_head_is_written_once_and_an_untied_one_is_there(written):
    assert "output.weight" not in open_gguf(written("llama tied")[1]).tensors
    assert "output.weight" in open_gguf(written("llama")[1]).tensors


def test_norms_biases_and_positions_are_float32_whatever_the_matrices_are(tmp_path):
    write_gguf(tmp_path / "f", made(family="gpt2"), TOKENIZER, "Q8_0")
    kinds = {name: entry.kind for name, entry in open_gguf(tmp_path / "f").tensors.items()}
    small = [name for name in kinds if "norm" in name or "bias" in name or "position" in name]
    assert {kinds.pop(name) for name in small} == {"F32"}
    assert set(kinds.values()) == {"Q8_0"}


@pytest.mark.parametrize(("kind", "near"), [("F16", 2e-3), ("Q8_0", 0.06), ("Q4_0", 0.7)])
def test_smaller_kinds_are_near(tmp_path, kind, near):
    model = made(family="llama", **KV)
    assert write_gguf(tmp_path / "f", model, TOKENIZER, kind) == []
    opened, exact = open_model(tmp_path / "f"), model(IDS).data
    off = np.sqrt(((opened.model(IDS).data - exact) ** 2).mean() / exact.var())
    assert 0 < off < near


@pytest.mark.parametrize("kind", ["F32", "F16", "Q8_0", "Q4_0"])
def test_a_file_read_some_rows_at_a_time_is_the_same_model(tmp_path, kind, monkeypatch):
    write_gguf(tmp_path / "f", made(family="llama", **KV), TOKENIZER, kind)
    at_once = open_model(tmp_path / "f").model(IDS).data
    for module in (gguf_blocks, kernel_blocks):
        monkeypatch.setattr(module, "AT_ONCE", 1)
    np.testing.assert_array_equal(open_model(tmp_path / "f").model(IDS).data, at_once)


def in_other_kinds(path, to, kinds):
    """A file again with its matrices as random blocks.  kinds: (name) -> kind."""
    file, rng = open_gguf(path), np.random.default_rng(4)
    head, tensors, data = path.read_bytes()[:0], [], b""
    for name, entry in file.tensors.items():
        kind = kinds(name) if len(entry.shape) > 1 else entry.kind
        if kind == entry.kind:
            content = file.blocks(name).tobytes()
        else:
            known = gguf_blocks.KINDS[kind]
            rows = math.prod(entry.shape) // known.weights
            blocks = rng.integers(0, 256, (rows, known.bytes), np.uint8)
            for at in HALVES[kind]:
                blocks[:, at : at + 2] = np.array([0.003], "<f2").view(np.uint8)
            content = blocks.tobytes()
        number = gguf_blocks.KINDS[kind].number
        tensors.append(made_by_hand.tensor(name, number, len(data), *entry.shape[::-1]))
        data += content + bytes(-len(content) % 32)
    start = path.read_bytes().index(made_by_hand.text(next(iter(file.tensors)))[:8 + 5])
    head = path.read_bytes()[24:start]
    to.write_bytes(made_by_hand.file([head], tensors, data, counts=(len(tensors), len(file.keys))))
    return to


HALVES = {"Q6_K": (208,), "Q5_1": (0, 2), "Q4_1": (0, 2), "Q4_K": (0, 2), "Q5_K": (0, 2)}


@pytest.mark.parametrize("kind", ["Q4_K", "Q5_K", "Q6_K", "Q5_1"])
def test_kinds_without_a_kernel_are_held_as_q8_0_and_the_cost_is_said(tmp_path, kind):
    write_gguf(tmp_path / "f32", made(family="llama", **KV, d_model=256, d_ff=256), TOKENIZER)
    path = in_other_kinds(tmp_path / "f32", tmp_path / "f", lambda name: kind)
    opened, whole = open_model(path), open_model(path, whole=True)
    (note,) = opened.notes
    assert note.startswith(f"10 matrices of {kind} are held as Q8_0, weights off by 0.")
    assert whole.notes == ()
    packed = opened.model.blocks[0].attention.qkv
    exact = whole.model.blocks[0].attention.qkv.weight.data
    assert 0 < np.abs(packed.dequantized() - exact).max() <= np.abs(exact).max() / 250


def test_matrices_of_two_kinds_in_one_of_ours_are_held_as_q8_0(tmp_path):
    write_gguf(tmp_path / "f32", made(family="llama", **KV, d_model=256, d_ff=256), TOKENIZER)
    path = in_other_kinds(
        tmp_path / "f32", tmp_path / "f", lambda name: "Q6_K" if "attn_v" in name else "Q4_1"
    )
    opened, exact = open_model(path), open_model(path, whole=True).model(IDS).data
    assert [note.split(" are")[0] for note in opened.notes] == ["2 matrices of Q4_1 and Q6_K"]
    off = np.sqrt(((opened.model(IDS).data - exact) ** 2).mean() / exact.var())
    assert 0 < off < 0.1


def test_rows_that_fill_no_blocks_are_f16_and_that_is_said(tmp_path):
    notes = write_gguf(tmp_path / "f", made(d_ff=40), TOKENIZER, "Q8_0")
    assert notes == ["2 matrices have rows that do not fill blocks of Q8_0: they are F16."]
    assert open_gguf(tmp_path / "f").tensors["blk.0.ffn_down.weight"].kind == "F16"


# --- what is refused ----------------------------------------------------------------------------


W = np.zeros((64, 64), np.float32)
TOKENS = "tokenizer.ggml.tokens"
REFUSED = {
    "another architecture": ({"general.architecture": "rwkv"}, {}, "architecture 'rwkv'. Known"),
    "no architecture": ({"general.architecture": None}, {}, "architecture None"),
    "a scaled rotation": ({"llama.rope.scaling.type": "yarn"}, {}, "llama.rope.scaling.type = 'ya"),
    "a factor": ({"llama.rope.scaling.factor": 4.0}, {}, "llama.rope.scaling.factor = 4"),
    "a cap": ({"llama.final_logit_softcapping": 30.0}, {}, "final_logit_softcapping = 30"),
    "experts": ({"llama.expert_count": Unsigned(8)}, {}, "llama.expert_count = 8"),
    "a partial rotation": ({"llama.rope.dimension_count": Unsigned(8)}, {}, "turns 8 of 16"),
    "factors of a rotation": ({}, {"rope_freqs.weight": W[0, :8]}, "'rope_freqs.weight' (8,)"),
    "layers that differ": (
        {"llama.attention.head_count_kv": np.array([2, 2], np.int32)}, {}, "a list of 2"),
    "no layers": ({"llama.block_count": Unsigned(0)}, {}, "block_count = 0"),
    "a billion layers": ({"llama.block_count": Unsigned(1 << 30)}, {}, "1,073,741,824 layers"),
    "an endless context": ({"llama.context_length": Unsigned(1 << 31)}, {}, "2,147,483,648 tok"),
    "no width": ({"llama.embedding_length": None}, {}, "no llama.embedding_length"),
    "another width": (
        {"llama.embedding_length": Unsigned(32), "llama.rope.dimension_count": None}, {},
        "its keys make it"),
    "one layer more": ({"llama.block_count": Unsigned(3)}, {}, "blk.2.attn_norm.weight is missing"),
    "one layer less": ({"llama.block_count": Unsigned(1)}, {}, "'blk.1.attn_norm.weight' (64,)"),
    "heads that divide nothing": (
        {"llama.attention.head_count": Unsigned(3), "llama.rope.dimension_count": None}, {},
        "contradict"),
    "eps of nan": ({"llama.attention.layer_norm_rms_epsilon": float("nan")}, {}, "finite number"),
    "another vocabulary size": ({"llama.vocab_size": Unsigned(301)}, {}, "vocab_size = 301"),
    "a tensor turned round": ({}, {"blk.0.ffn_up.weight": np.zeros((64, 96), np.float32)},
                              "is (64, 96), and its keys make it (96, 64)"),
    "nan": ({}, {"blk.0.ffn_up.weight": np.full((96, 64), np.nan, np.float32)}, "nan or infinity"),
    "a tokenizer of another kind": ({"tokenizer.ggml.model": "rwkv"}, {}, "of kind 'rwkv'"),
    "no pre-tokenizer": ({"tokenizer.ggml.pre": None}, {}, "tokenizer.ggml.pre = None"),
    "an unknown pre-tokenizer": ({"tokenizer.ggml.pre": "viking"}, {}, "tokenizer.ggml.pre = 'v"),
    "no tokens": ({TOKENS: None}, {}, "no tokenizer.ggml.tokens"),
    "types of another length": (
        {"tokenizer.ggml.token_type": np.ones(7, np.int32)}, {}, "not as long"),
    "merges of nothing": ({"tokenizer.ggml.merges": ["a zzz"]}, {}, "merge 0"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_in_a_sentence(written, tmp_path, name):
    keys, tensors, words = REFUSED[name]
    with pytest.raises(ExchangeError) as error:
        open_model(copied(written("llama")[1], tmp_path / "f.gguf", keys, tensors=tensors))
    assert words in str(error.value) and str(error.value).endswith(".")
    assert str(error.value).startswith(str(tmp_path / "f.gguf"))


def test_a_missing_tensor_is_named(written, tmp_path):
    path = copied(written("llama")[1], tmp_path / "f", without=("blk.1.ffn_up.weight",))
    with pytest.raises(ExchangeError, match="blk.1.ffn_up.weight is missing"):
        open_model(path)


def test_keys_that_change_nothing_are_let_through(written, tmp_path):
    keys = {"llama.rope.scaling.type": "none", "llama.expert_count": Unsigned(0),
            "general.whatever": "x"}
    path = copied(written("llama")[1], tmp_path / "f", keys)
    np.testing.assert_array_equal(open_model(path).model(IDS).data, written("llama")[0](IDS).data)


def test_a_vocabulary_of_another_size_than_the_embedding_is_refused(written, tmp_path):
    tokens = open_gguf(written("llama")[1]).keys[TOKENS]
    keys = {TOKENS: tokens[:-1], "tokenizer.ggml.token_type": np.ones(299, np.int32) * 3}
    keys["tokenizer.ggml.token_type"][:294] = 1
    path = copied(written("llama")[1], tmp_path / "f", keys)
    with pytest.raises(ExchangeError, match="299 ids, its embedding 300 rows"):
        open_model(path)


def with_pieces(path, to, prefix=True):
    """A file again with a tokenizer of SentencePiece's kind.

    prefix: whether a space stands before a text; if not, 12345 is a user-defined token.
    """
    words = "\u2581 a b c d e h n o r s t he \u2581t \u2581the at \u2581c \u2581cat re".split()
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *words]
    pieces += [f"[PAD{i}]" for i in range(len(pieces), 300)]
    types = np.full(300, 5, np.int32)
    types[:3], types[3:259], types[259 : 259 + len(words)] = (2, 3, 3), 6, 1
    if not prefix:
        pieces[-1], types[-1] = "12345", 4
    lists = {"tokens": pieces, "scores": -np.arange(300, dtype=np.float32), "token_type": types}
    return copied(path, to, {
        "tokenizer.ggml.model": "llama", "tokenizer.ggml.merges": None, "tokenizer.ggml.pre": None,
        "tokenizer.ggml.add_bos_token": None, "tokenizer.ggml.bos_token_id": Unsigned(1),
        "tokenizer.ggml.eos_token_id": Unsigned(2), "tokenizer.ggml.eot_token_id": None,
        "tokenizer.ggml.add_space_prefix": prefix,
        **{f"tokenizer.ggml.{name}": value for name, value in lists.items()},
    })


def test_a_tokenizer_of_scored_pieces_comes_along(written, tmp_path):
    path = with_pieces(written("llama")[1], tmp_path / "f")
    tokenizer, form = open_model(path).tokenizer, gguf_models.read_form_of(path)
    ids = tokenizer.encode("the cat \u00e9")
    assert tokenizer.decode(ids) == "the cat \u00e9"
    assert ids[:2] == [273, 276] and ids[-2:] == [3 + 0xC3, 3 + 0xA9]
    assert (form.bos, form.eos, form.ends, form.opens) == ("<s>", "</s>", ("</s>",), True)


def test_a_tokenizer_of_scored_pieces_goes_out_again(written, tmp_path):
    opened = open_model(with_pieces(written("llama")[1], tmp_path / "f"))
    form = gguf_models.read_form_of(tmp_path / "f")
    assert write_gguf(tmp_path / "g", opened.model, opened.tokenizer, form=form) == []
    again = open_model(tmp_path / "g")
    assert again.tokenizer.to_json() == opened.tokenizer.to_json()
    assert gguf_models.read_form_of(tmp_path / "g") == form
    changed = SentencePieceTokenizer(
        opened.tokenizer.pieces, opened.tokenizer.scores, opened.tokenizer.types, "unigram"
    )
    with pytest.raises(ExchangeError, match=r"unigram\), which llama.cpp"):
        write_gguf(tmp_path / "h", opened.model, changed)
    assert not (tmp_path / "h").exists()


@pytest.mark.parametrize(("changes", "words"), [
    ({"norm": "rmsnorm"}, "norm = rmsnorm, positions = learned"),
    ({"activation": "relu"}, "activation = relu"),
    ({"family": "llama", "window": 8}, "model.window = 8"),
    ({"softcap": 30.0}, "model.softcap = 30"),
    ({"bigrams": True}, "model.bigrams = True"),
    ({"family": "bert"}, "model.assembly = encoder"),
    ({"family": "llama", "qk_norm": True, "bias": "qkv"}, "with qk_norm"),
    ({"head_dim": 8}, "heads of 8"),
])
def test_a_shape_that_fits_nowhere_is_refused_with_the_reason(tmp_path, changes, words):
    with pytest.raises(ExchangeError, match=words):
        write_gguf(tmp_path / "f", made(**changes), TOKENIZER)
    assert not (tmp_path / "f").exists()


def test_where_ids_will_differ_is_said(tmp_path):
    (note,) = write_gguf(tmp_path / "f", made(), OURS)
    assert "no pattern cl100k" in note


def test_a_kind_that_is_not_written_is_refused(tmp_path):
    with pytest.raises(ExchangeError, match="'Q6_K' is not written"):
        write_gguf(tmp_path / "f", made(), TOKENIZER, "Q6_K")


def test_a_weight_that_no_half_holds_is_refused(tmp_path):
    model = made()
    model.state_dict()["blocks.0.mlp.up.weight"][3, 3] = 1e6
    with pytest.raises(ExchangeError, match="too large for F16"):
        write_gguf(tmp_path / "f", model, TOKENIZER, "F16")


def test_opening_gives_back_what_was_read(written, monkeypatch):
    """The pages of the file do not stay in memory beside the model made of them."""
    forgotten = []
    monkeypatch.setattr(gguf_models.GGUF, "forget", lambda self: forgotten.append(self))
    open_model(written("llama")[1])
    assert len(forgotten) > 10
