"""Models of every family, small, with weights that leave nothing near 0 or 1."""

import numpy as np

from tinygpt.config import structure
from tinygpt.exchange.gguf import open_gguf
from tinygpt.exchange.gguf_write import Unsigned, write
from tinygpt.model import ModelShape, build
from tinygpt.storage.durable import replacing
from tinygpt.tokenizer import DEFAULT_SPECIAL_TOKENS, BPETokenizer, train_bpe

SMALL = {
    "n_layers": 2, "n_heads": 6, "d_model": 24, "d_ff": 40, "context": 16, "eps": 3e-3,
    "vocab_size": 300,
}
KV = {"n_kv_heads": 2, "head_dim": 8, "rope_theta": 77.0}
FAMILIES = {
    "gpt": {"family": "gpt"},
    "gpt2": {"family": "gpt2", "tied": False, "activation": "gelu_erf"},
    "gpt2 with qkv biases": {"family": "gpt", "bias": "qkv", "activation": "relu2"},
    "llama": {"family": "llama", **KV},
    "llama biased": {"family": "llama", **KV, "bias": "all", "tied": True, "activation": "geglu"},
    "mistral": {"family": "mistral", **KV, "window": 5},
    "qwen2": {"family": "qwen2", **KV},
    "qwen2 windowed": {"family": "qwen2", **KV, "window": 5, "tied": False},
    "qwen3": {"family": "qwen3", **KV},
    "mpt": {"family": "mpt", "d_ff": 96, "activation": "gelu_erf"},
    "bert": {"family": "bert"},
    "albert": {"family": "albert", "n_layers": 4, "n_blocks": 2, "embedding_size": 10},
    "t5": {"family": "t5", "head_dim": 4, "tied": False},
    "t5 tied": {"family": "t5", "head_dim": 10, "activation": "relu", "tied": True},
}


def made(name: str, **changes):
    """The model of a row of FAMILIES, with settings changed."""
    values = {**SMALL, **FAMILIES[name], **changes}
    model = build(structure(ModelShape, values, "model."), np.random.default_rng(0))
    rng = np.random.default_rng(5)
    for array in model.state_dict().values():
        center = 1.0 if array.ndim == 1 else 0.0
        array[...] = center + 0.3 * rng.standard_normal(array.shape)
    return model.eval()


def tokenizer_of(size: int) -> BPETokenizer:
    """A BPE tokenizer of that many ids."""
    words = "cat sat mat dog ran under red hats tree night until seven lights became known".split()
    text = " ".join(f"{a} {b} 12." for a in words for b in words)
    return train_bpe(text, size, special_tokens=DEFAULT_SPECIAL_TOKENS)


def copied(path, to, keys=(), without=(), tensors=()):
    """A file again with other keys (None: without) and tensors.  tensors: name -> array."""
    file = open_gguf(path)
    numbers = {
        name: Unsigned(value) if type(value) is int else value for name, value in file.keys.items()
    }
    kept = {**numbers, **dict(keys)}
    arrays = {name: file.read(name) for name in file.tensors if name not in without}
    arrays |= dict(tensors)
    with replacing(to) as out:
        write(out, {name: value for name, value in kept.items() if value is not None}, {
            name: ("F32", array.shape, lambda array=array: array) for name, array in arrays.items()
        })
    return to
