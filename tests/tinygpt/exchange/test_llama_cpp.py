"""llama.cpp as an oracle: what we write it opens, and it computes and cuts text as we do.

Runs where `xllamacpp` is installed, which is llama.cpp in a wheel.
"""

import json
import urllib.request

import numpy as np
import pytest

from tests.tinygpt.exchange.test_gguf_models import SHAPES, TOKENIZER, made, with_pieces
from tinygpt.exchange.gguf_models import open_model, write_gguf
from tinygpt.inference.generate import generate
from tinygpt.inference.sampling import Sampling
from tinygpt.tokenizer import BPETokenizer
from tinygpt.tokenizer.huggingface import SINGLE_DIGITS

llama = pytest.importorskip("xllamacpp")
PROMPTS = ("the cat sat", "a red hat under the tree", "12 dogs ran", "night")


def serve(path, context=128):
    """llama.cpp's server of a file: float32 keys and values, no flash attention, one thread."""
    settings = llama.CommonParams()
    settings.model.path, settings.n_ctx, settings.n_parallel = str(path), context, 1
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = 1
    settings.warmup = settings.fit_params = False
    settings.verbosity = -1
    settings.cache_type_k = settings.cache_type_v = llama.ggml_type.GGML_TYPE_F32
    settings.flash_attn_type = llama.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    return llama.Server(settings)


def told(server, ids, count=1, **settings):
    """What it writes after a prompt, token by token: [(id, {id: log-probability})]."""
    answer = server.handle_completions({
        "prompt": list(map(int, ids)), "n_predict": count, "temperature": 0.0, "n_probs": 1000,
        "ignore_eos": True, "cache_prompt": False, **settings,
    })
    steps = (answer["choices"][0]["logprobs"] or {}).get("content", [])
    return [(s["id"], {e["id"]: e["logprob"] for e in s["top_logprobs"]}) for s in steps]


def log_softmax(logits):
    shifted = logits.astype(np.float64) - logits.max()
    return shifted - np.log(np.exp(shifted).sum())


@pytest.mark.parametrize("name", SHAPES)
def test_log_probabilities_are_llama_cpps(tmp_path, name):
    """1e-3; 1e-2 where ggml's GELU, a table of halves, is in the way."""
    model, path = made(**SHAPES[name][1]), tmp_path / "f.gguf"
    write_gguf(path, model, TOKENIZER)
    server, compared = serve(path), 0
    for prompt in PROMPTS:
        ids = TOKENIZER.encode(prompt)
        ours = log_softmax(model(np.array([ids])).data[0, -1])
        for _, theirs in told(server, ids):  # none where the token is half a character
            assert len(theirs) == 300
            off = max(abs(ours[token] - value) for token, value in theirs.items())
            assert off < (1e-2 if model.shape.activation == "gelu" else 1e-3)
            compared += 1
    assert compared


def test_what_it_writes_greedily_is_what_we_write(tmp_path):
    model, path = made(**{**SHAPES["llama"][1], "context": 128}), tmp_path / "f.gguf"
    for token in range(300):  # it says no ids of what ends a text or is half a character
        if not TOKENIZER.token_bytes.get(token, b"\xff").isascii():
            model.state_dict()["output.weight"][token] = 0
    write_gguf(path, model, TOKENIZER)
    ids = TOKENIZER.encode("the cat")
    ours = list(generate(model, ids, max_tokens=64, sampling=Sampling(temperature=0)))
    assert [token for token, _ in told(serve(path), ids, 64)] == ours


WORDS = (
    "", " ", "  ", "\n", "\r\n", " \n \n", "the", "cat", "Ünï", "日本語", "🙂🙃", "it's", "IT'S",
    "12345", "1 2", "don't", "...", "?!", "a\tb", "_x_", "x=1;", "<|end|", "\u00a0", "é", "\u200b",
)


def some_texts(count):
    rng = np.random.default_rng(3)
    return ["".join(rng.choice(WORDS, rng.integers(1, 12))) for _ in range(count)]


def tokenized(server, text):
    """The ids that it gives a text, over its own HTTP on this machine."""
    request = urllib.request.Request(
        f"{server.listening_address}/tokenize", json.dumps({"content": text}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["tokens"]


@pytest.mark.parametrize(("pattern", "whole"), [
    ("gpt2", False), ("llama3", False), ("llama3", True), (SINGLE_DIGITS, False), ("o200k", False),
])
def test_ids_of_a_text_are_llama_cpps(tmp_path, pattern, whole):
    tokenizer = BPETokenizer(
        TOKENIZER.merges, pattern, TOKENIZER.special_tokens, whole_words=whole
    )
    write_gguf(tmp_path / "f.gguf", made(), tokenizer)
    server = serve(tmp_path / "f.gguf")
    for text in some_texts(200):
        assert tokenized(server, text) == tokenizer.encode(text, disallowed_special=()), text


def test_ids_of_scored_pieces_are_llama_cpps(tmp_path):
    write_gguf(tmp_path / "bpe", made(**SHAPES["llama"][1]), TOKENIZER)
    path = with_pieces(tmp_path / "bpe", tmp_path / "f.gguf")
    tokenizer, server = open_model(path).tokenizer, serve(path)
    for text in some_texts(200):
        assert tokenized(server, text) == tokenizer.encode(text, disallowed_special=()), text
