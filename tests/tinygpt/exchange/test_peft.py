"""PEFT's adapters without PEFT: there and back, and what is no adapter of this model."""

import json

import numpy as np
import pytest

from tests.tinygpt.adapters.test_methods import IDS, method, moved
from tests.tinygpt.exchange.models import made
from tinygpt.adapters import adapt, adapter_state, merge
from tinygpt.exchange.errors import ExchangeError
from tinygpt.exchange.peft import CONFIG, WEIGHTS, read_adapter, write_adapter
from tinygpt.storage import safetensors
from tinygpt.storage.durable import replacing

WRITTEN = ("lora", "dora", "qlora", "ia3", "prefix", "prompt")


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3"])
def test_there_and_back(name, family, tmp_path):
    model, before, logits = moved(name, family)
    write_adapter(model, tmp_path)
    other = made(family)
    if name == "qlora":  # the adapter says nothing of what its base was rounded to
        adapt(other, method("qlora"), None)
        merge(other)
    found = read_adapter(tmp_path, other)
    assert found.name == ("lora" if name == "qlora" else name)
    off = 4e-6 * np.abs(logits).max()
    np.testing.assert_allclose(other(IDS).data, logits, rtol=0, atol=off)
    assert np.abs(logits - before).max() > 100 * off


@pytest.mark.parametrize("targets", [("q", "v"), ("qkv", "down"), ("k", "o", "up"), ("gate",)])
def test_some_of_the_matrices(targets, tmp_path):
    for family in ("gpt2", "llama"):
        if family == "gpt2" and targets == ("gate",):
            continue
        folder = tmp_path / family
        model, _, logits = moved("dora", family, targets=targets, rslora=True)
        write_adapter(model, folder)
        other = made(family)
        found = read_adapter(folder, other)
        assert found.rslora
        np.testing.assert_allclose(other(IDS).data, logits, rtol=0, atol=2e-5)


def test_the_files_are_as_peft_writes_them(tmp_path):
    write_adapter(moved("lora", "llama", targets=("q", "v", "down"))[0], tmp_path, "SmolLM2")
    config = json.loads((tmp_path / CONFIG).read_text())
    assert config["target_modules"] == ["mlp.down_proj", "self_attn.q_proj", "self_attn.v_proj"]
    assert (config["peft_type"], config["task_type"]) == ("LORA", "CAUSAL_LM")
    assert (config["r"], config["lora_alpha"], config["rank_pattern"]) == (3, 16, {})
    assert config["base_model_name_or_path"] == "SmolLM2"
    file = safetensors.open_tensors(tmp_path / WEIGHTS)
    assert file.metadata["format"] == "pt"
    assert len(file.arrays) == 2 * 3 * 2
    path = "base_model.model.model.layers.1.self_attn.v_proj"
    assert file.arrays[f"{path}.lora_A.weight"].shape == (3, 24)
    assert file.arrays[f"{path}.lora_B.weight"].shape == (16, 3)


def test_a_packed_module_of_theirs_has_the_rank_of_all_our_parts(tmp_path):
    write_adapter(moved("lora", "gpt2")[0], tmp_path)
    config = json.loads((tmp_path / CONFIG).read_text())
    assert config["rank_pattern"] == {"attn.c_attn": 9} and config["fan_in_fan_out"]
    assert config["alpha_pattern"] == {"attn.c_attn": 48}


def altered(folder, change):
    path = folder / CONFIG
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"peft_type": "VERA"}, "of type 'VERA'. Known here: LORA"),
        ({"modules_to_save": ["lm_head"]}, "brings whole modules of its own"),
        ({"bias": "all"}, "bias = 'all', which may change"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights = 'pissa'"),
        ({"use_qalora": True}, "use_qalora = True"),
        ({"peft_type": 3}, "has peft_type that is 3, not text"),
        ({"use_dora": True}, "a lora_magnitude_vector is missing"),
    ],
)
def test_what_is_not_known_is_refused_with_its_key(change, what, tmp_path):
    write_adapter(moved("lora", "llama")[0], tmp_path)
    altered(tmp_path, change)
    with pytest.raises(ExchangeError, match=what):
        read_adapter(tmp_path, made("llama"))


def test_an_adapter_of_another_base_is_refused(tmp_path):
    write_adapter(moved("lora", "llama")[0], tmp_path)
    with pytest.raises(ExchangeError, match="trained on another base"):
        other = made("llama")
        other.token_embedding.weight.data[0, 0] += 1
        read_adapter(tmp_path, other)
    with pytest.raises(ExchangeError, match="changes nothing that this model has"):
        read_adapter(tmp_path, made("gpt2"))


def rewritten(folder, change):
    """The adapter with other arrays, and no mark of its base."""
    arrays = {n: np.array(a) for n, a in safetensors.open_tensors(folder / WEIGHTS).arrays.items()}
    with replacing(folder / WEIGHTS) as file:
        safetensors.write(file, change(arrays), {"format": "pt"})


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda a: {**a, "base_model.model.lm_head.lora_A.weight": np.zeros((3, 24), np.float32)},
         "tied to the output projection"),
        (lambda a: {**a, "base_model.model.model.layers.2.mlp.up_proj.lora_A.weight": a[min(a)]},
         "no part of this model"),
        (lambda a: {n: v for n, v in a.items() if "layers.0.mlp.up_proj.lora_B" not in n},
         "has no model.layers.0.mlp.up_proj.lora_B.weight"),
        (lambda a: {n: v[:, :20] if "q_proj.lora_A" in n else v for n, v in a.items()},
         "whose matrix is here"),
        (lambda a: {}, "changes nothing that this model has"),
    ],
)
def test_arrays_that_do_not_fit_are_named(change, what, tmp_path):
    write_adapter(moved("lora", "llama")[0], tmp_path)
    rewritten(tmp_path, change)
    with pytest.raises(ExchangeError, match=what):
        read_adapter(tmp_path, made("llama"))


def test_damaged_and_missing_files_are_sentences(tmp_path):
    with pytest.raises(ExchangeError, match="is no adapter of PEFT"):
        read_adapter(tmp_path, made("llama"))
    write_adapter(moved("lora", "llama")[0], tmp_path)
    content = (tmp_path / WEIGHTS).read_bytes()
    (tmp_path / WEIGHTS).write_bytes(content[:-8])
    with pytest.raises(ExchangeError, match="is no adapter of PEFT"):
        read_adapter(tmp_path, made("llama"))


def test_what_peft_has_not_is_not_written(tmp_path):
    with pytest.raises(ExchangeError, match="PEFT has no file"):
        write_adapter(moved("bottleneck")[0], tmp_path / "a")
    with pytest.raises(ExchangeError, match="PEFT has no file"):
        write_adapter(made("llama"), tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_it_can_be_trained_on(tmp_path):
    model, *_ = moved("lora", "llama")
    write_adapter(model, tmp_path)
    other = made("llama")
    read_adapter(tmp_path, other, np.random.default_rng(0))
    other.loss(IDS, IDS).backward()
    assert set(adapter_state(other)) == set(adapter_state(model))
    assert all(p.grad is not None for p in other.parameters() if p.requires_grad)
