"""Logits and every gradient against transformers' own classes, where a developer has them.

Weights are drawn at random in theirs and copied by hf_mapping.py; every setting is off its default,
so that one that is not passed on shows.
"""

import numpy as np
import pytest

from tests.tinygpt.model import hf_mapping
from tinygpt.config import structure
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


def theirs(name):
    """Their model with weights that leave nothing near 0 or 1, where a mistake would hide."""
    kind, values = CASES[name]
    config = getattr(transformers, f"{kind}Config")(**values)
    model = transformers.AutoModelForCausalLM.from_config(config, attn_implementation="eager")
    generator = torch.Generator().manual_seed(0)
    for parameter in model.parameters():
        center = 1.0 if parameter.ndim == 1 else 0.0
        parameter.data = center + 0.3 * torch.randn(parameter.shape, generator=generator)
    if kind == "Mpt":  # theirs has GELU with erf; MPT's tools, and we, the tanh that is near it
        for block in model.transformer.blocks:
            block.ffn.act = torch.nn.GELU(approximate="tanh")
    return model


def ours(model):
    """Ours with their weights; every array of theirs finds its place."""
    family = model.config.model_type
    copy = build(structure(ModelShape, hf_mapping.settings(model.config), "model."), None)
    names = [name for name, _ in copy.named_parameters()]
    arrays = {name: p.detach().numpy() for name, p in model.named_parameters()}
    copy.load_state_dict(hf_mapping.convert(family, names, arrays))
    assert {s for name in names for s in hf_mapping.sources(family, name)} == set(arrays)
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
    right = hf_mapping.convert(
        oracle.config.model_type, [name for name, _ in model.named_parameters()],
        {name: p.grad.numpy() for name, p in oracle.named_parameters()},
    )
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
        ("qwen2", {"rope_theta", "tied"}), ("qwen3", {"rope_theta", "tied"}),
    ],
)
def test_a_familys_row_is_what_their_defaults_say(family, otherwise):
    row = structure(ModelShape, {"family": family}, "model.")
    said = hf_mapping.settings(transformers.AutoConfig.for_model(family))
    differing = {
        key for key in ("eps", "rope_theta", "tied", "window", "bias")
        if key in said and said[key] != getattr(row, key)
    }
    assert differing == otherwise
