"""What all methods have in common: where they begin, what they train, how they go on."""

import numpy as np
import pytest

from minigrad import optim
from minigrad.nn import evaluating
from tests.tinygpt.exchange.models import made
from tinygpt.adapters import (
    MethodConfig,
    adapt,
    adapter_state,
    load_adapter,
    merge,
    remove,
    settle,
)
from tinygpt.adapters import config as adapters_config
from tinygpt.config import ConfigError, TrainingConfig
from tinygpt.errors import UserError
from tinygpt.inference.decoder import Decoder
from tinygpt.inference.network import network_of
from tinygpt.training.optimizer import make_optimizer

METHODS = tuple(name for name in adapters_config.METHODS if name != "full")
MERGED = ("lora", "dora", "qlora", "ia3")
FAMILIES = ("gpt2", "llama biased", "qwen3", "mpt")
IDS = np.random.default_rng(1).integers(0, 300, (2, 9))


def method(name, **changes):
    return MethodConfig(name, **{"rank": 3, "tokens": 4, "width": 5, **changes})


def moved(name, family="qwen3", **changes):
    """(model, before, its logits) of a family, adapted, and what is trained not as it began."""
    model = made(family)
    before = model(IDS).data
    adapt(model, method(name, **changes), np.random.default_rng(2))
    rng = np.random.default_rng(3)
    for array in adapter_state(model).values():
        array += 0.2 * rng.standard_normal(array.shape).astype(np.float32)
    return model, before, model(IDS).data


@pytest.mark.parametrize("name", ["lora", "dora", "ia3", "bottleneck"])
@pytest.mark.parametrize("family", [*FAMILIES, "bert", "albert", "gpt"])
def test_the_model_begins_as_it_was(name, family):
    model = made(family)
    before = model(IDS).data
    adapt(model, method(name), np.random.default_rng(2))
    np.testing.assert_allclose(model(IDS).data, before, rtol=0, atol=3e-6)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("family", FAMILIES)
def test_only_what_is_new_learns_and_all_of_it(name, family):
    model, before, after = moved(name, family)
    assert np.abs(after - before).max() > 0.05
    model.loss(IDS, IDS[:, ::-1]).backward()
    grads = {n: p.grad is not None for n, p in model.named_parameters()}
    assert {n for n, has in grads.items() if has} == set(adapter_state(model))
    assert sum(a.size for a in adapter_state(model).values()) < model.shape.parameters / 4
    for n, p in model.named_parameters():
        assert p.grad is None or np.abs(p.grad).max() > 0, n


def test_gradients_of_an_earlier_training_are_forgotten():
    model = made("llama")
    model.loss(IDS, IDS).backward()
    adapt(model, method("lora"), np.random.default_rng(0))
    assert all(p.grad is None for p in model.parameters())


def test_only_what_learns_has_moments():
    model, *_ = moved("lora")
    optimizer = make_optimizer(model, TrainingConfig(optimizer="adamw8bit"))
    assert isinstance(optimizer, optim.AdamW8bit)
    assert {id(p) for p in optimizer.parameters()} == {
        id(p) for p in model.parameters() if p.requires_grad
    }


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("family", [*FAMILIES, "gpt"])
def test_a_decoder_goes_on_as_one_pass_does(name, family):
    model, _, whole = moved(name, family)
    with evaluating(model):
        decoder, off = Decoder(model, 2), 4e-6 * np.abs(whole).max()
        np.testing.assert_allclose(decoder.feed(IDS[:, :5]), whole[:, 4], rtol=0, atol=off)
        for t in range(5, 9):
            np.testing.assert_allclose(decoder.step(IDS[:, t]), whole[:, t], rtol=0, atol=off)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("family", [*FAMILIES, "gpt"])
def test_settled_it_computes_the_same_by_the_decode_kernel(name, family):
    model, _, whole = moved(name, family)
    off = 4e-6 * np.abs(whole).max()
    settle(model)
    np.testing.assert_allclose(model(IDS).data, whole, rtol=0, atol=off)
    assert (network_of(model) is None) == (name == "bottleneck")
    with evaluating(model):
        decoder = Decoder(model, 2)
        for _ in range(2):  # a text forgotten takes no prefix with it
            decoder.clear()
            np.testing.assert_allclose(decoder.feed(IDS[:, :3]), whole[:, 2], rtol=0, atol=off)
            for t in range(3, 9):
                np.testing.assert_allclose(decoder.step(IDS[:, t]), whole[:, t], rtol=0, atol=off)


@pytest.mark.parametrize("name", ["dora", "ia3"])
def test_beside_rounded_weights_it_stays_as_it_is(name):
    model = made("llama")
    adapt(model, method("qlora"), None)
    remove(model)
    adapt(model, method(name), np.random.default_rng(0))
    logits = model(IDS).data
    settle(model)
    np.testing.assert_array_equal(model(IDS).data, logits)
    assert network_of(model) is None


@pytest.mark.parametrize("name", ["prefix", "prompt"])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_beyond_the_context_it_forgets_the_text_and_not_what_stands_before_it(name, family):
    model, *_ = moved(name, family)  # a context of 16, of which 4 are taken
    ids = np.random.default_rng(6).integers(0, 300, (1, 12))
    settle(model)
    with evaluating(model):
        decoder = Decoder(model)
        decoder.feed(ids)
        found = decoder.step(np.array([7]))
        right = model(np.append(ids[:, 6:], [[7]], axis=1)).data[:, -1]
        np.testing.assert_allclose(found, right, rtol=0, atol=4e-6 * np.abs(right).max())


@pytest.mark.parametrize("name", METHODS)
def test_what_was_learned_goes_into_another_copy_of_the_base(name):
    model, _, logits = moved(name)
    state = {n: array.copy() for n, array in adapter_state(model).items()}
    other = made("qwen3")
    load_adapter(other, method(name), state)
    np.testing.assert_array_equal(other(IDS).data, logits)


@pytest.mark.parametrize("name", MERGED)
@pytest.mark.parametrize("family", [*FAMILIES, "bert", "albert", "gpt"])
def test_merged_it_computes_the_same_without_an_adapter(name, family):
    model, _, logits = moved(name, family, targets=None if name == "ia3" else ("q", "v", "down"))
    merge(model)
    assert set(model.state_dict()) == set(made(family).state_dict())
    assert all(p.requires_grad for p in model.parameters())
    assert np.abs(model(IDS).data - logits).max() <= 1e-4 * max(1, np.abs(logits).max() / 10)


@pytest.mark.parametrize("name", METHODS)
def test_recomputing_gives_the_same_gradients(name):
    def gradients(recompute):
        model, *_ = moved(name, dropout=0.3)
        model.recompute = recompute
        model.train()
        model.loss(IDS, IDS[:, ::-1]).backward()
        return [p.grad for p in model.parameters() if p.requires_grad]

    for plain, again in zip(gradients(False), gradients(True), strict=True):
        np.testing.assert_array_equal(plain, again)


@pytest.mark.parametrize("name", METHODS)
def test_taken_out_it_leaves_the_base_and_room_for_another(name):
    model, before, logits = moved(name)
    state = {n: array.copy() for n, array in adapter_state(model).items()}
    remove(model)
    if name != "qlora":
        np.testing.assert_array_equal(model(IDS).data, before)
    assert set(adapter_state(model)) == set() and model.before == 0
    load_adapter(model, method("lora"), adapter_state(moved("lora")[0]))
    remove(model)
    load_adapter(model, method(name), state)
    np.testing.assert_array_equal(model(IDS).data, logits)
    remove(model)
    with pytest.raises(UserError, match="no adapter to take out"):
        remove(model)


# --- what stands before a text ------------------------------------------------------------------


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3", "mpt"])
def test_a_prefix_of_a_text_s_own_keys_and_values_is_that_text(family):
    """Known answer: keys and values that some tokens have, in front of the others."""
    whole = made(family)
    with evaluating(whole):
        right, cache = whole(IDS).data, whole.make_cache()
        whole.hidden(IDS[:1, :4], cache)
    model = made(family)
    adapt(model, method("prefix"), None)
    for layer, block in enumerate(model.blocks):
        block.attention.keys.data[...] = cache.keys[layer, 0, :4]
        block.attention.values.data[...] = cache.values[layer, 0, :4]
    np.testing.assert_allclose(model(IDS[:1, 4:]).data, right[:1, 4:], rtol=0, atol=2e-5)


@pytest.mark.parametrize("family", ["gpt2", "llama", "qwen3", "mpt"])
def test_a_prompt_of_tokens_vectors_is_these_tokens(family):
    model = made(family)
    right = model(IDS).data
    adapt(model, method("prompt"), None)
    model.prompt.vectors.data[...] = model.token_embedding(IDS[0, :4]).data
    np.testing.assert_allclose(model(IDS[:1, 4:]).data, right[:1, 4:], rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", ["prefix", "prompt"])
def test_what_stands_before_a_text_leaves_less_room_for_it(name):
    model, *_ = moved(name, "gpt2")
    with evaluating(model):
        decoder = Decoder(model)
        assert decoder.room == 16 - 4
        for token in range(20):  # beyond the context
            assert np.isfinite(decoder.step(np.array([token]))).all()
    with pytest.raises(ValueError, match="do not fit the context of 16"):
        model(np.zeros((1, 13), int))


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda: adapt(made("bert"), method("prompt"), None), "is an encoder"),
        (lambda: adapt(made("gpt2"), method("prefix", tokens=16), None), "leaves no room"),
        (lambda: moved("prefix", "mistral"), "one text a row"),
        (lambda: adapt(made("gpt2"), method("lora", rank=25), None), "rank = 25 is above 24"),
        (lambda: adapt(made("gpt2"), method("lora", targets=("gate",)), None), "none of the"),
        (lambda: moved("lora") and adapt(moved("lora")[0], method("lora"), None), "already"),
        (lambda: adapt(moved("qlora")[0], method("full"), None), "rounded weights cannot move"),
        (lambda: merge(moved("bottleneck")[0]), "no adapter that could become"),
        (lambda: MethodConfig(targets=("lm_head",)), "also the output projection"),
        (lambda: MethodConfig(targets=("qkv", "v")), "whole or the parts"),
        (lambda: MethodConfig(targets=("w1",)), "names 'w1'. Known: q, k"),
        (lambda: MethodConfig(rank=0), "method.rank = 0"),
        (lambda: load_adapter(made("gpt2"), method("lora"), adapter_state(moved("lora")[0])),
         "not of this model"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(change, what):
    with pytest.raises((UserError, ConfigError), match=what):
        change()
