"""The families: each is a row of settings of one model, and no class of its own.

    [model]
    family = "llama"        its row fills in what the file leaves out

What each setting is, and what it cost and gained here: docs/zoo.md.
"""

from __future__ import annotations

from typing import Any

FAMILIES: dict[str, dict[str, Any]] = {
    # Ours: GPT-2's kind without biases.
    "gpt": {},
    # Radford et al. 2019.
    "gpt2": {"bias": "all"},
    # Touvron et al. 2023; SmolLM2 is one, with a tied head.
    "llama": {
        "positions": "rope", "norm": "rmsnorm", "activation": "swiglu", "tied": False,
    },
    # Yang et al. 2024: llama with biases on queries, keys and values.
    "qwen2": {
        "positions": "rope", "rope_theta": 1e6, "norm": "rmsnorm", "eps": 1e-6,
        "activation": "swiglu", "bias": "qkv",
    },
    # Yang et al. 2025: llama with normed queries and keys, heads of a size of their own.
    "qwen3": {
        "positions": "rope", "rope_theta": 1e6, "norm": "rmsnorm", "eps": 1e-6,
        "activation": "swiglu", "qk_norm": True,
    },
    # Jiang et al. 2023: llama whose layers look back on a window only.
    "mistral": {
        "positions": "rope", "norm": "rmsnorm", "activation": "swiglu", "tied": False,
        "window": 4096,
    },
    # Press et al. 2022, as MPT has it: no positions but a slope on distance.
    "mpt": {"positions": "alibi"},
    # Devlin et al. 2019. Texts are of one segment: its vector is part of the positions.
    "bert": {
        "assembly": "encoder", "norm_place": "post", "bias": "all", "eps": 1e-12,
        "activation": "gelu_erf",
    },
    # Lan et al. 2020: bert with one block for all layers and a narrow table.
    "albert": {
        "assembly": "encoder", "norm_place": "post", "bias": "all", "eps": 1e-12,
        "n_blocks": 1, "embedding_size": 128,
    },
    # Raffel et al. 2020, as version 1.1 has it (Shazeer 2020). Theirs leave scores as they are and
    # draw small queries; here scores are divided by sqrt(D), which is the same function.
    "t5": {
        "assembly": "encoder-decoder", "positions": "relative", "norm": "rmsnorm", "eps": 1e-6,
        "activation": "geglu", "tied": False,
    },
}
