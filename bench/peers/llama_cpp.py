"""llama.cpp, in the wheel `xllamacpp`, as an oracle: what it says after a prompt, how it cuts.

Its server returns no log-probabilities of a prompt, so a text is scored one token at a time.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xllamacpp

Step = tuple[int, dict[int, float]]  # a token that was written, and log-probabilities by id


def serve(path: str | Path, context: int = 128, threads: int = 1) -> Any:
    """llama.cpp's server of a file: float32 keys and values, no flash attention."""
    settings = xllamacpp.CommonParams()
    settings.model.path, settings.n_ctx, settings.n_parallel = str(path), context, 1
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = threads
    settings.warmup = settings.fit_params = False
    settings.verbosity = -1
    settings.cache_type_k = settings.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    disabled = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    settings.flash_attn_type = disabled
    return xllamacpp.Server(settings)


def told(server: Any, ids: Sequence[int], count: int = 1, **settings: Any) -> list[Step]:
    """What it writes greedily after a prompt; nothing of a token that is half a character.

    settings: of a request; n_probs is how many log-probabilities are wanted of each token.
    """
    answer = server.handle_completions({
        "prompt": list(map(int, ids)), "n_predict": count, "temperature": 0.0, "n_probs": 1000,
        "ignore_eos": True, "cache_prompt": False, **settings,
    })
    steps = (answer["choices"][0]["logprobs"] or {}).get("content", [])
    return [(s["id"], {e["id"]: e["logprob"] for e in s["top_logprobs"]}) for s in steps]


def losses(server: Any, ids: Sequence[int], vocab_size: int) -> np.ndarray:
    """-log p of each token after the first, nats, (T - 1,) float64; nan where it says none."""
    found = np.full(len(ids) - 1, np.nan)
    for t in range(1, len(ids)):
        for wanted in (100, vocab_size):  # the whole list takes 4 MB a token
            steps = told(server, ids[:t], n_probs=wanted, cache_prompt=True)
            if not steps or ids[t] in steps[0][1]:
                break
        if steps:
            found[t - 1] = -steps[0][1][ids[t]]
    return found


def tokenized(server: Any, text: str) -> list[int]:
    """The ids that it gives a text, over its own HTTP on this machine."""
    request = urllib.request.Request(
        f"{server.listening_address}/tokenize", json.dumps({"content": text}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["tokens"]
