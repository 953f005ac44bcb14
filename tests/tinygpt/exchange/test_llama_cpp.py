"""llama.cpp as an oracle: what we write it opens, and it computes and cuts text as we do.

Runs where `xllamacpp` is installed, which is llama.cpp in a wheel.
"""

import numpy as np
import pytest

from tests.tinygpt.exchange.test_gguf_models import SHAPES, TOKENIZER, made, with_pieces
from tinygpt.exchange.gguf_models import open_model, write_gguf
from tinygpt.inference.generate import generate
from tinygpt.inference.sampling import Sampling
from tinygpt.tokenizer import BPETokenizer
from tinygpt.tokenizer.huggingface import SINGLE_DIGITS

pytest.importorskip("xllamacpp")
from bench.peers.llama_cpp import serve, tokenized, told
from bench.smollm2 import WORDS

PROMPTS = ("the cat sat", "a red hat under the tree", "12 dogs ran", "night")


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


def some_texts(count):
    rng = np.random.default_rng(3)
    return ["".join(rng.choice(WORDS, rng.integers(1, 12))) for _ in range(count)]


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


@pytest.mark.parametrize("prefix", [True, False])
def test_ids_of_scored_pieces_are_llama_cpps_read_and_written(tmp_path, prefix):
    write_gguf(tmp_path / "bpe", made(**SHAPES["llama"][1]), TOKENIZER)
    path = with_pieces(tmp_path / "bpe", tmp_path / "f.gguf", prefix)
    opened = open_model(path)
    assert write_gguf(tmp_path / "again.gguf", opened.model, opened.tokenizer) == []
    for file in (path, tmp_path / "again.gguf"):
        server = serve(file)
        for text in some_texts(200):
            ids = opened.tokenizer.encode(text, disallowed_special=())
            assert tokenized(server, text) == ids, text
