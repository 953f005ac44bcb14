"""Logits and every gradient against transformers' own classes, where a developer has them.

Weights are drawn at random in theirs and copied as tinygpt/exchange does it; every setting is off
its default, so that one that is not passed on shows.
"""

import numpy as np
import pytest

from tinygpt.config import structure
from tinygpt.exchange.huggingface import read_config
from tinygpt.exchange.huggingface_names import convert, factor, row_of, sources
from tinygpt.model.build import build
from tinygpt.model.positions import alibi_slopes, buckets
from tinygpt.model.shape import ModelShape

torch = pytest.importorskip("torch", reason="an oracle that is not installed: torch")
transformers = pytest.importorskip(
    "transformers", reason="an oracle that is not installed: pip install transformers"
)

T, VOCABULARY = 13, 29
SMALL = {
    "vocab_size": VOCABULARY, "hidden_size": 24, "intermediate_size": 36, "num_hidden_layers": 2,
    "num_attention_heads": 6, "num_key_value_heads": 2, "max_position_embeddings": 16,
    "bos_token_id": 0, "eos_token_id": 0,
}


def rope(theta):
    return {"rope_parameters": {"rope_type": "default", "rope_theta": theta}}


GPT2 = {
    "vocab_size": VOCABULARY, "n_positions": 16, "n_embd": 24, "n_layer": 2, "n_head": 3,
    "n_inner": 40, "layer_norm_epsilon": 3e-3, "resid_pdrop": 0.0, "embd_pdrop": 0.0,
    "attn_pdrop": 0.0, "bos_token_id": 0, "eos_token_id": 0,
}
MPT = {
    "vocab_size": VOCABULARY, "max_seq_len": 16, "d_model": 24, "n_layers": 2, "n_heads": 6,
    "layer_norm_epsilon": 3e-3,
}
WINDOW = {"use_sliding_window": True, "sliding_window": 5, "max_window_layers": 0}
QWEN2 = SMALL | {"rms_norm_eps": 2e-3} | rope(300.0)
QWEN3 = SMALL | {"head_dim": 8, "rms_norm_eps": 2e-3} | rope(300.0)
LLAMA = SMALL | {"head_dim": 8, "rms_norm_eps": 3e-3} | rope(77.0)
BIASES = {"attention_bias": True, "mlp_bias": True}
MISTRAL = SMALL | {"head_dim": 10, "sliding_window": 5, "rms_norm_eps": 4e-3} | rope(150.0)
T5 = {
    "vocab_size": VOCABULARY, "d_model": 24, "d_kv": 10, "d_ff": 36, "num_layers": 2,
    "num_heads": 6, "layer_norm_epsilon": 3e-3, "dropout_rate": 0.0,
}
GATED = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
CASES = {
    "gpt2": ("GPT2", GPT2),
    "gpt2 untied": ("GPT2", GPT2 | {"tie_word_embeddings": False}),
    "llama": ("Llama", LLAMA),
    "llama biased, tied": ("Llama", LLAMA | BIASES | {"tie_word_embeddings": True}),
    "qwen2": ("Qwen2", QWEN2),
    "qwen2 windowed, tied": ("Qwen2", QWEN2 | WINDOW | {"tie_word_embeddings": True}),
    "qwen3": ("Qwen3", QWEN3),
    "qwen3 windowed, tied": ("Qwen3", QWEN3 | WINDOW | {"tie_word_embeddings": True}),
    "mistral": ("Mistral", MISTRAL),
    "mistral tied": ("Mistral", MISTRAL | {"tie_word_embeddings": True}),
    "mpt": ("Mpt", MPT),
    "mpt, five heads": ("Mpt", MPT | {"d_model": 20, "n_heads": 5}),
}
T5_CASES = {"t5, version 1.1": ("T5", T5 | GATED), "t5, the original": ("T5", T5)}


def theirs(name):
    """Their model with weights that leave nothing near 0 or 1, where a mistake would hide."""
    kind, values = (CASES | T5_CASES)[name]
    config = getattr(transformers, f"{kind}Config")(**values)
    if kind == "T5":
        model = transformers.T5ForConditionalGeneration(config)
        if not config.scale_decoder_outputs:  # version 1.1, whose head is a table of its own
            model.lm_head.weight = torch.nn.Parameter(torch.empty(VOCABULARY, 24))
    else:
        model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        center = 1.0 if parameter.ndim == 1 else 0.0
        parameter.data = center + 0.3 * torch.randn(parameter.shape, generator=generator)
    for layer, parameter in model.named_parameters():
        if kind == "T5" and layer.endswith(".q.weight"):  # as T5 draws them: scores near 1
            parameter.data *= config.d_kv**-0.5
    return model


def ours(model):
    """Ours with their weights; every array of theirs finds its place."""
    family, shape = read_config(model.config.to_dict())
    row, copy = row_of(family, shape), build(shape, None)
    names = [name for name, _ in copy.named_parameters()]
    arrays = {name: p.detach().numpy() for name, p in model.named_parameters()}
    weights = convert(row, names, arrays)
    for name in names:
        scale = factor(family, shape, name)
        weights[name] = weights[name] if scale is None else weights[name] * scale
    copy.load_state_dict(weights)
    assert {s for name in names for s in sources(row, name)} == set(arrays)
    return copy


@pytest.mark.parametrize("name", CASES)
def test_logits_and_every_gradient(name):
    oracle = theirs(name)
    model = ours(oracle)
    rng = np.random.default_rng(1)
    ids, targets = rng.integers(0, VOCABULARY, (2, 3, T))
    logits = oracle(torch.tensor(ids)).logits
    torch.nn.functional.cross_entropy(
        logits.view(-1, VOCABULARY), torch.tensor(targets).view(-1), reduction="sum"
    ).backward()
    np.testing.assert_allclose(model(ids).data, logits.detach().numpy(), rtol=0, atol=2e-4)
    (model.loss(ids, targets) * float(ids.size)).backward()
    agree(model, oracle)


@pytest.mark.parametrize("name", T5_CASES)
def test_logits_and_every_gradient_of_an_encoder_decoder(name):
    """Sources and targets of other lengths, some of them padded."""
    oracle = theirs(name)
    model = ours(oracle)
    rng = np.random.default_rng(1)
    source, ids = rng.integers(0, VOCABULARY, (3, 17)), rng.integers(0, VOCABULARY, (3, T))
    targets = rng.integers(0, VOCABULARY, (3, T))
    lengths, ends = np.array([17, 1, 12]), np.array([T, 6, 1])
    targets[np.arange(T) >= ends[:, None]] = -100
    logits = oracle(
        input_ids=torch.tensor(source), decoder_input_ids=torch.tensor(ids),
        attention_mask=torch.tensor((np.arange(17) < lengths[:, None]).astype(np.int64)),
    ).logits
    torch.nn.functional.cross_entropy(
        logits.view(-1, VOCABULARY), torch.tensor(targets).view(-1), reduction="sum"
    ).backward()
    found = model(source, lengths, ids).data
    np.testing.assert_allclose(found, logits.detach().numpy(), rtol=0, atol=2e-4)
    loss = model.read(source, lengths).loss(ids, targets, ignore_index=-100)
    (loss * float(ends.sum())).backward()
    agree(model, oracle)


def agree(model, oracle):
    """Every gradient of ours is theirs."""
    family, names = oracle.config.model_type, [name for name, _ in model.named_parameters()]
    right = convert(
        row_of(family, model.shape), names,
        {name: p.grad.numpy() for name, p in oracle.named_parameters()},
    )
    for name in names:
        scale = factor(family, model.shape, name)
        right[name] = right[name] if scale is None else right[name] / scale
    for parameter, gradient in right.items():
        found = dict(model.named_parameters())[parameter].grad
        np.testing.assert_allclose(found, gradient, rtol=0, atol=2e-4, err_msg=parameter)
        assert np.abs(gradient).max() > 1e-2  # something to compare


def test_buckets_are_t5s():
    from transformers.models.t5.modeling_t5 import T5Attention

    distances = np.arange(-300, 301)  # theirs are key less query
    for both_ways in (False, True):
        right = T5Attention._relative_position_bucket(
            torch.tensor(-distances), bidirectional=both_ways
        )
        np.testing.assert_array_equal(buckets(distances, both_ways), right.numpy())


@pytest.mark.parametrize("heads", [1, 2, 3, 5, 6, 7, 8, 12, 20, 33])
def test_slopes_are_mpts(heads):
    from transformers.models.mpt.modeling_mpt import build_mpt_alibi_tensor

    right = -build_mpt_alibi_tensor(heads, 2)[:, 0, 0]  # of the key one before the last
    np.testing.assert_allclose(alibi_slopes(heads), right.numpy(), rtol=1e-6)


@pytest.mark.parametrize(
    ("family", "otherwise"),
    [  # where the checkpoints that people have differ from the defaults of their class
        ("gpt2", set()), ("mpt", set()), ("llama", {"eps"}), ("mistral", {"eps"}),
        ("qwen2", {"rope_theta", "tied"}), ("qwen3", {"rope_theta", "tied"}), ("t5", {"tied"}),
    ],
)
def test_a_familys_row_is_what_their_defaults_say(family, otherwise):
    row = structure(ModelShape, {"family": family}, "model.")
    _, said = read_config(transformers.AutoConfig.for_model(family).to_dict())
    differing = {
        key for key in ("eps", "rope_theta", "tied", "window", "bias")
        if getattr(said, key) != getattr(row, key)
    }
    assert differing == otherwise
