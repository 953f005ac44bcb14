"""tinygpt.inference.generate and decoder: the KV cache changes nothing but the time."""

import numpy as np
import pytest

from minigrad import no_grad
from tinygpt.errors import UserError
from tinygpt.inference.chat import Conversation
from tinygpt.inference.decoder import Decoder
from tinygpt.inference.generate import generate, generate_batch, stream_text, until_stop
from tinygpt.inference.prompt import PromptError, encode_prompt, opening
from tinygpt.inference.sampling import GREEDY, Sampling
from tinygpt.model import GPT
from tinygpt.model.shape import ModelShape
from tinygpt.tokenizer import CharTokenizer, train_bpe

CONFIG = ModelShape(vocab_size=37, context=24, n_layers=2, n_heads=2, d_model=32)


@pytest.fixture
def model():
    gpt = GPT(CONFIG, np.random.default_rng(0))
    for parameter in gpt.parameters():  # larger than at the start: attention is far from uniform
        parameter.data *= 8 if parameter.data.ndim == 2 else 1
    return gpt.eval()


def full_logits(model, ids):
    with no_grad():
        return model(ids).data[:, -1]


def test_cached_logits_equal_uncached_ones(model):
    ids = np.random.default_rng(1).integers(0, 37, (3, 24))
    decoder = Decoder(model, batch=3)
    np.testing.assert_allclose(decoder.feed(ids[:, :5]), full_logits(model, ids[:, :5]), atol=1e-4)
    for t in range(5, 24):
        expected = full_logits(model, ids[:, : t + 1])
        np.testing.assert_allclose(decoder.step(ids[:, t]), expected, atol=1e-4, rtol=1e-4)


def test_a_full_context_is_refilled_with_its_last_half(model):
    ids = np.random.default_rng(2).integers(0, 37, (2, 30))
    decoder = Decoder(model, batch=2)
    decoder.feed(ids[:, :24])
    logits = decoder.step(ids[:, 24])
    np.testing.assert_allclose(logits, full_logits(model, ids[:, 12:25]), atol=1e-4, rtol=1e-4)
    assert decoder.length == 13
    logits = decoder.step(ids[:, 25])
    np.testing.assert_allclose(logits, full_logits(model, ids[:, 12:26]), atol=1e-4, rtol=1e-4)


def test_generation_goes_on_beyond_the_context_and_is_repeatable(model):
    runs = [
        list(generate(model, [1, 2, 3], max_tokens=70, rng=np.random.default_rng(4)))
        for _ in range(2)
    ]
    assert runs[0] == runs[1]
    assert len(runs[0]) == 70
    assert all(0 <= token < 37 for token in runs[0])


def test_greedy_generation_follows_the_uncached_argmax(model):
    ids = [5, 6, 7]
    for token in generate(model, ids.copy(), max_tokens=12, sampling=GREEDY):
        assert token == full_logits(model, np.array([ids]))[0].argmax()
        ids.append(token)


def test_a_batch_writes_what_its_rows_write_alone(model):
    prompts = np.random.default_rng(3).integers(0, 37, (3, 6))
    together = np.stack(list(generate_batch(model, prompts, max_tokens=9, sampling=GREEDY)), 1)
    for prompt, row in zip(prompts, together, strict=True):
        assert list(generate(model, prompt, max_tokens=9, sampling=GREEDY)) == row.tolist()


def test_a_stop_token_ends_the_text_and_is_not_yielded(model):
    tokens = list(generate(model, [1, 2], max_tokens=12, sampling=GREEDY))
    stop = tokens[4]
    before = list(generate(model, [1, 2], max_tokens=12, sampling=GREEDY, stop={stop}))
    assert before == tokens[: tokens.index(stop)]


def test_a_prompt_longer_than_the_context_is_read_from_its_end(model):
    ids = np.random.default_rng(5).integers(0, 37, 60)
    long = list(generate(model, ids, max_tokens=3, sampling=GREEDY))
    assert long == list(generate(model, ids[-24:], max_tokens=3, sampling=GREEDY))


def test_feeding_more_than_the_context_says_both_lengths(model):
    with pytest.raises(UserError, match="25 tokens long.*context 24"):
        Decoder(model).feed(np.zeros((1, 25), dtype=np.int64))


def test_an_empty_prompt_is_an_error(model):
    with pytest.raises(UserError, match="prompt is empty"):
        list(generate(model, [], max_tokens=1))


def test_a_model_in_training_mode_generates_without_dropout_and_stays_in_it():
    config = ModelShape(vocab_size=37, context=8, n_layers=1, n_heads=1, d_model=16, dropout=0.5)
    model = GPT(config, np.random.default_rng(0))
    outs = [list(generate(model, [1], max_tokens=5, sampling=GREEDY)) for _ in range(3)]
    assert outs[0] == outs[1] == outs[2]
    assert model.training


def test_repetition_penalty_reads_the_tokens_drawn_so_far(model):
    sampling = Sampling(temperature=0.0, repetition_penalty=1e6)
    tokens = list(generate(model, [1, 2], max_tokens=20, sampling=sampling))
    assert len({1, 2, *tokens}) == 22


@pytest.mark.parametrize(
    ("pieces", "stop", "expected"),
    [
        (["ab", "cd"], [], "abcd"),
        (["ab", "cd", "ef"], ["bcd"], "a"),
        (["a", "b", "c", "x"], ["abd"], "abcx"),
        (["ab\n", "\ncd"], ["\n\n"], "ab"),
        (["abcabd"], ["abd", "ca"], "ab"),
        (["x", "ab"], ["abc"], "xab"),
    ],
)
def test_until_stop_finds_a_stop_text_split_over_pieces(pieces, stop, expected):
    assert "".join(until_stop(pieces, stop)) == expected


def test_until_stop_holds_back_no_more_than_it_must():
    assert list(until_stop(iter(["hello", " wor", "ld"]), ["\n\n"])) == ["hello", " wor", "ld"]


def test_an_empty_stop_text_is_refused_before_anything_is_written(model):
    with pytest.raises(PromptError, match="stands before every answer"):
        until_stop(["abc"], ["b", ""])
    with pytest.raises(PromptError):
        stream_text(model, CharTokenizer("ab"), "a", max_tokens=1, stop=[""])
    with pytest.raises(PromptError):
        Conversation(model, CharTokenizer("ab"), sampling=GREEDY, stop=[""])


def test_one_stop_text_need_not_be_a_list():
    assert "".join(until_stop(["ab\n", "\nc"], "\n\n")) == "ab"


def test_the_opening_is_a_text_that_the_tokenizer_knows():
    openings = {text: opening(CharTokenizer(text)) for text in ("\n a", " a", "ba")}
    assert openings == {"\n a": "\n", " a": " ", "ba": "b"}


def test_special_names_in_a_prompt_are_ordinary_characters():
    tokenizer = train_bpe("abc", 262)
    ids = encode_prompt(tokenizer, "<|end|>")
    assert tokenizer.decode(ids) == "<|end|>" and len(ids) == 7
