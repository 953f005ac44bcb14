"""Hugging Face's folders out and in again, and what is refused in words."""

import json

import numpy as np
import pytest

from tests.tinygpt.exchange.models import FAMILIES, made, tokenizer_of
from tinygpt.exchange.errors import ExchangeError
from tinygpt.exchange.huggingface import read_config
from tinygpt.exchange.huggingface_folder import looks_like, open_folder, read_form, write_folder
from tinygpt.exchange.huggingface_write import class_of
from tinygpt.model import ModelShape
from tinygpt.storage import safetensors
from tinygpt.storage.durable import replacing
from tinygpt.tokenizer import CharTokenizer

INEXACT = ("t5 tied",)  # its factors are no powers of two


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def folder(tmp_path):
    """The export of a small llama."""
    model = made("llama")
    write_folder(tmp_path / "hf", model, tokenizer_of(300))
    return tmp_path / "hf"


@pytest.mark.parametrize("name", FAMILIES)
def test_out_and_in_and_out_again_is_the_same_bytes(name, tmp_path):
    model = made(name)
    write_folder(tmp_path / "a", model, tokenizer_of(300))
    again, tokenizer = open_folder(tmp_path / "a")
    assert looks_like(tmp_path / "a")
    write_folder(tmp_path / "b", again, tokenizer, read_form(tmp_path / "a"))
    if name in INEXACT:
        for key, array in model.state_dict().items():
            np.testing.assert_allclose(again.state_dict()[key], array, rtol=1e-6)
    else:
        assert files(tmp_path / "a") == files(tmp_path / "b")


def test_a_character_tokenizer_goes_along(tmp_path):
    tokenizer = CharTokenizer.train("the cat sat")
    model = made("gpt", vocab_size=tokenizer.vocab_size)
    write_folder(tmp_path, model, tokenizer)
    again, read = open_folder(tmp_path)
    assert read.encode("cat heat") == tokenizer.encode("cat heat")
    np.testing.assert_array_equal(again(np.array([[1, 2]])).data, model(np.array([[1, 2]])).data)


def test_shards_with_an_index_are_one_model(folder):
    whole, _ = open_folder(folder)
    split_up(folder)
    again, _ = open_folder(folder)
    for name, array in whole.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[name], array)


def split_up(folder):
    """One file of a folder made two, with an index."""
    arrays = safetensors.open_tensors(folder / "model.safetensors").arrays
    names = sorted(arrays)
    shards = {"model-1.safetensors": names[:7], "model-2.safetensors": names[7:]}
    for file, own in shards.items():
        with replacing(folder / file) as out:
            safetensors.write(out, {name: arrays[name] for name in own}, {"format": "pt"})
    where = {name: file for file, own in shards.items() for name in own}
    index = {"metadata": {"total_size": 1}, "weight_map": where}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize("half", ["F16", "BF16"])
def test_weights_of_sixteen_bits_are_read(folder, half):
    whole, _ = open_folder(folder)
    arrays = dict(safetensors.open_tensors(folder / "model.safetensors").arrays)
    if half == "F16":
        short = {name: array.astype(np.float16) for name, array in arrays.items()}
    else:
        short = {n: (a.view(np.uint32) >> 16).astype(np.uint16) for n, a in arrays.items()}
    with replacing(folder / "model.safetensors") as out:
        safetensors.write(out, short, None, short if half == "BF16" else ())
    again, _ = open_folder(folder)
    for name, array in whole.state_dict().items():
        np.testing.assert_allclose(again.state_dict()[name], array, rtol=2**-7, atol=1e-3)


def rewrite(folder, change):
    """Write the weights again as `change` leaves them."""
    arrays = dict(safetensors.open_tensors(folder / "model.safetensors").arrays)
    change(arrays)
    with replacing(folder / "model.safetensors") as out:
        safetensors.write(out, {n: np.array(a) for n, a in arrays.items()}, {"format": "pt"})


def reconfigure(folder, **changes):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


NORM = "model.layers.0.input_layernorm.weight"


OLD = {  # as the first files of each have them: other names, and arrays that are no weights
    "gpt2": lambda a: {
        **{name.removeprefix("transformer."): array for name, array in a.items()},
        "h.0.attn.bias": np.ones((1, 1, 16, 16), np.float32),
        "h.1.attn.masked_bias": np.float32(-1e4).reshape(()),
    },
    "bert": lambda a: {
        **{
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
                "LayerNorm.bias", "LayerNorm.beta"
            ): array for name, array in a.items()
        },
        "bert.pooler.dense.weight": np.ones((24, 24), np.float32),
        "cls.seq_relationship.weight": np.ones((2, 24), np.float32),
        "bert.embeddings.position_ids": np.arange(16)[None],
        "cls.predictions.decoder.weight": a["bert.embeddings.word_embeddings.weight"],
    },
    "llama": lambda a: {
        **a, "model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(4, np.float32),
    },
    "t5 tied": lambda a: {
        **a, "encoder.embed_tokens.weight": a["shared.weight"],
        "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight":
            np.ones((32, 6), np.float32),
    },
}


@pytest.mark.parametrize("name", OLD)
def test_the_names_of_the_first_files_are_known(name, tmp_path):
    model = made(name)
    write_folder(tmp_path, model, tokenizer_of(300))
    arrays = safetensors.open_tensors(tmp_path / "model.safetensors").arrays
    with replacing(tmp_path / "model.safetensors") as out:
        safetensors.write(out, OLD[name]({n: np.array(a) for n, a in arrays.items()}))
    again, _ = open_folder(tmp_path)
    for key, array in model.state_dict().items():
        np.testing.assert_allclose(again.state_dict()[key], array, rtol=1e-6)


def test_the_vector_of_berts_first_segment_is_part_of_the_positions(tmp_path):
    model = made("bert")
    write_folder(tmp_path, model, tokenizer_of(300))
    segment = "bert.embeddings.token_type_embeddings.weight"
    rewrite(tmp_path, lambda a: a.update({segment: a[segment] + 0.5}))
    again, _ = open_folder(tmp_path)
    right = model.state_dict()["position_embedding.weight"] + np.float32(0.5)
    np.testing.assert_array_equal(again.state_dict()["position_embedding.weight"], right)


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (lambda f: rewrite(f, lambda a: a.pop(NORM)), f"has no tensor {NORM}"),
        (lambda f: rewrite(f, lambda a: a.update({NORM: a[NORM][:-1]})), "of shape [23]"),
        (
            lambda f: rewrite(f, lambda a: a.update({NORM: np.ones((24, 2), np.float32)})),
            f"has {NORM} of shape [24, 2], its config.json asks for [24]",
        ),
        (
            lambda f: rewrite(f, lambda a: a.update({"model.x": a[NORM]})),
            "has the tensor model.x, of which its config.json says nothing",
        ),
        (
            lambda f: rewrite(f, lambda a: a.update({NORM: np.ones(24, np.int8)})),
            f"has {NORM} as I8, a quantization that is not read here",
        ),
        (lambda f: reconfigure(f, num_hidden_layers=3), "has no tensor model.layers.2."),
        (lambda f: reconfigure(f, num_hidden_layers=10**9), "config.json describes a model of"),
        (lambda f: reconfigure(f, num_hidden_layers=1), "of which its config.json says nothing"),
        (lambda f: reconfigure(f, num_key_value_heads=3), "of shape [16, 24]"),
        (lambda f: reconfigure(f, num_key_value_heads=1), "of shape [16, 24]"),
        (lambda f: reconfigure(f, tie_word_embeddings=True), "a table lm_head.weight of its own"),
        (lambda f: reconfigure(f, vocab_size=299), "tokenizer.json has 300 ids"),
        (lambda f: reconfigure(f, vocab_size=301), "tokenizer.json has 300 ids"),
        (lambda f: reconfigure(f, rope_scaling={"type": "linear", "factor": 2}), "rope_scaling."),
        (
            lambda f: reconfigure(f, rope_parameters={"rope_type": "yarn", "rope_theta": 77.0}),
            "rope_parameters.rope_type = 'yarn'",
        ),
        (lambda f: reconfigure(f, rope_theta=10.0), "rope_theta = 10.0 and rope_parameters"),
        (lambda f: reconfigure(f, final_logit_softcapping=30.0), "final_logit_softcapping"),
        (lambda f: reconfigure(f, num_local_experts=8), "num_local_experts = 8"),
        (lambda f: reconfigure(f, quantization_config={"bits": 4}), "quantization_config"),
        (lambda f: reconfigure(f, hidden_act="tanh"), "hidden_act = 'tanh'"),
        (lambda f: reconfigure(f, mlp_bias=True), "mlp_bias = True"),
        (lambda f: reconfigure(f, model_type="gemma"), "model_type = 'gemma'"),
        (lambda f: reconfigure(f, hidden_size="wide"), "hidden_size = 'wide'"),
        (lambda f: reconfigure(f, head_dim=7), "contradicts itself"),
        (lambda f: reconfigure(f, intermediate_size=39), "its config.json asks for [39, 24]"),
        (lambda f: (f / "config.json").write_text("{"), "config.json is missing or damaged"),
        (lambda f: (f / "tokenizer.json").unlink(), "has no tokenizer.json"),
        (
            lambda f: (f / "model.safetensors").write_bytes(
                (f / "model.safetensors").read_bytes()[:-9]
            ),
            "model.safetensors is damaged: it has",
        ),
        (
            lambda f: (f / "model.safetensors").rename(f / "pytorch_model.bin"),
            "has pickled weights only (pytorch_model.bin)",
        ),
        (lambda f: (f / "model.safetensors").unlink(), "has no model.safetensors"),
    ],
)
def test_a_folder_that_cannot_be_read_is_refused_in_words(folder, harm, words):
    harm(folder)
    with pytest.raises(ExchangeError, match="\\. ") as refused:
        open_folder(folder)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    ("index", "words"),
    [
        ({"weight_map": {NORM: "../outside"}}, "is no file of this folder"),
        ({"weight_map": {NORM: "\ud800.safetensors"}}, "is no file of this folder"),
        ({"weight_map": {NORM: "missing.safetensors"}}, "missing.safetensors is damaged"),
        ({"weight_map": {NORM: "model-2.safetensors"}}, f"has no tensor {NORM}, which"),
        ({"weight_map": []}, "not an object"),
    ],
)
def test_an_index_that_lies_is_refused(folder, index, words):
    split_up(folder)
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(ExchangeError) as refused:
        open_folder(folder)
    assert words in str(refused.value)


def test_a_truncated_shard_is_named(folder):
    split_up(folder)
    shard = folder / "model-2.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(ExchangeError, match="model-2.safetensors is damaged"):
        open_folder(folder)


def written(name, folder):
    """(our arrays, theirs as they stand in the file) of a model."""
    model = made(name)
    write_folder(folder, model, tokenizer_of(300))
    return model.state_dict(), safetensors.open_tensors(folder / "model.safetensors").arrays


def test_gpt2s_matrices_lie_across_and_the_biases_that_it_wants_are_zeros(tmp_path):
    ours, theirs = written("gpt", tmp_path)
    for name, known in (
        ("attn.c_attn", "attention.qkv"), ("attn.c_proj", "attention.proj"),
        ("mlp.c_fc", "mlp.up"), ("mlp.c_proj", "mlp.down"),
    ):
        matrix = theirs[f"transformer.h.1.{name}.weight"]
        np.testing.assert_array_equal(matrix, ours[f"blocks.1.{known}.weight"].T)
        bias = theirs[f"transformer.h.1.{name}.bias"]
        assert bias.shape == matrix.shape[1:] and not bias.any()
    assert not theirs["transformer.ln_f.bias"].any() and "lm_head.weight" not in theirs
    assert theirs["transformer.wpe.weight"].shape == (16, 24)


def test_llamas_projections_are_the_rows_of_ours(tmp_path):
    ours, theirs = written("llama", tmp_path)
    qkv, up = ours["blocks.0.attention.qkv.weight"], ours["blocks.0.mlp.up.weight"]
    layer = "model.layers.0"  # six heads of eight, two of keys
    for name, rows in (("q", qkv[:48]), ("k", qkv[48:64]), ("v", qkv[64:])):
        np.testing.assert_array_equal(theirs[f"{layer}.self_attn.{name}_proj.weight"], rows)
    np.testing.assert_array_equal(theirs[f"{layer}.mlp.gate_proj.weight"], up[:40])
    np.testing.assert_array_equal(theirs[f"{layer}.mlp.up_proj.weight"], up[40:])


def test_t5s_queries_are_smaller_by_the_root_of_a_heads_size(tmp_path):
    ours, theirs = written("t5", tmp_path)
    q = theirs["decoder.block.1.layer.1.EncDecAttention.q.weight"]
    np.testing.assert_array_equal(q, ours["decoder.blocks.1.cross.q.weight"] / 2)


def test_a_tied_head_is_not_written_twice(tmp_path):
    write_folder(tmp_path, made("llama biased"), tokenizer_of(300))
    arrays = safetensors.open_tensors(tmp_path / "model.safetensors").arrays
    assert "lm_head.weight" not in arrays
    rewrite(tmp_path, lambda a: a.update({"lm_head.weight": a["model.embed_tokens.weight"]}))
    open_folder(tmp_path)  # others write the same table again: that contradicts nothing


def test_ids_are_those_of_the_file_where_added_tokens_come_first(tmp_path):
    """As in SmolLM2's: a reader that numbers tokens by itself is off by as many as were added."""
    ours = tokenizer_of(300)
    write_folder(tmp_path, made("llama"), ours)
    path = tmp_path / "tokenizer.json"
    data = json.loads(path.read_text(encoding="utf-8"))
    added = len(data["added_tokens"])
    data["model"]["vocab"] = {text: i + added for text, i in data["model"]["vocab"].items()}
    for i, token in enumerate(data["added_tokens"]):
        token["id"] = i
    path.write_text(json.dumps(data), encoding="utf-8")
    _, read = open_folder(tmp_path)
    ids = ours.encode("the cat sat under 12 lights")
    assert read.encode("the cat sat under 12 lights") == [i + added for i in ids]
    assert read.encode("<|end|>", allowed_special="all") == [read.special_id("<|end|>")] == [4]


def test_an_embedding_padded_for_alignment_is_read_and_written_as_it_was(tmp_path):
    write_folder(tmp_path / "a", made("llama", vocab_size=320), tokenizer_of(300))
    model, tokenizer = open_folder(tmp_path / "a")
    assert tokenizer.vocab_size == 320 and tokenizer.decode([319]) == "[PAD319]"
    write_folder(tmp_path / "b", model, tokenizer, read_form(tmp_path / "a"))
    assert files(tmp_path / "a") == files(tmp_path / "b")


def test_the_rotation_is_read_as_transformers_four_and_as_five_write_it():
    values = {
        "model_type": "llama", "vocab_size": 10, "hidden_size": 8, "num_attention_heads": 2,
        "num_hidden_layers": 1, "intermediate_size": 8,
    }
    old = {**values, "rope_theta": 5e5, "rope_scaling": None}
    new = {**values, "rope_parameters": {"rope_theta": 5e5, "rope_type": "default"}}
    assert read_config(old) == read_config(new)
    assert read_config(old)[1].rope_theta == 5e5 and read_config(values)[1].rope_theta == 1e4


@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen2", "qwen3"])
def test_an_eps_that_is_not_said_is_transformers_own(kind):
    values = {
        "model_type": kind, "vocab_size": 10, "hidden_size": 8, "num_attention_heads": 2,
        "num_hidden_layers": 1, "intermediate_size": 8, "num_key_value_heads": 2,
    }
    assert read_config(values)[1].eps == 1e-6
    assert read_config({**values, "rms_norm_eps": 1e-5})[1].eps == 1e-5


def test_layers_that_see_differently_are_refused():
    values = {
        "model_type": "qwen2", "vocab_size": 10, "hidden_size": 8, "num_attention_heads": 2,
        "num_hidden_layers": 2, "intermediate_size": 8, "num_key_value_heads": 2,
        "sliding_window": 4, "use_sliding_window": True, "max_window_layers": 0,
    }
    assert read_config(values)[1].window == 4
    assert read_config({**values, "max_window_layers": 2})[1].window is None
    assert read_config({**values, "use_sliding_window": False})[1].window is None
    mixed = {"layer_types": ["full_attention", "sliding_attention"]}
    for change in ({"max_window_layers": 1}, mixed):
        with pytest.raises(ExchangeError, match="some layers see a window"):
            read_config({**values, **change})


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"softcap": 3.0}, "model.softcap = 3.0"),
        ({"bigrams": True}, "model.bigrams = True"),
        ({"n_layers": 4, "n_blocks": 2}, "one block a layer"),
        ({"positions": "alibi"}, 'model.activation = "gelu_erf"'),
        ({"norm": "rmsnorm"}, "model.norm = rmsnorm"),
        ({"positions": "sinusoidal"}, "model.positions = sinusoidal"),
    ],
)
def test_a_shape_that_no_class_has_is_refused_with_the_reason(settings, words):
    with pytest.raises(ExchangeError) as refused:
        class_of(ModelShape(**settings))
    assert words in str(refused.value)
