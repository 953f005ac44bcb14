"""tinygpt.inference.speculation: guesses change nothing but the number of passes."""

import numpy as np
import pytest

from kernels.numpy_ref import softmax_forward
from minigrad import using
from minigrad.nn import Parameter
from tinygpt.compression.quantize import quantize_model
from tinygpt.errors import UserError
from tinygpt.inference.decoder import Decoder
from tinygpt.inference.drafts import ModelDraft, NgramDraft
from tinygpt.inference.generate import generate
from tinygpt.inference.sampling import GREEDY, Sampling
from tinygpt.inference.speculation import (
    GUESSES,
    Always,
    Pace,
    SpeculatingDecoder,
    decoder_for,
    worth_drafting,
)
from tinygpt.model import GPT
from tinygpt.model.shape import ModelShape

SHAPE = {"vocab_size": 19, "context": 40, "n_layers": 2, "n_heads": 2, "d_model": 32}


def model_of(seed=0, **changes):
    gpt = GPT(ModelShape(**{**SHAPE, **changes}), np.random.default_rng(seed))
    for parameter in gpt.parameters():  # attention far from uniform, scores far from ties
        parameter.data *= 6 if parameter.data.ndim == 2 else 1
    if gpt.smear is not None:  # which begins at 0
        gpt.smear.weight.data += 1
    if gpt.bigrams is not None:  # likewise
        gpt.bigrams.weight = Parameter(0.2 * np.random.default_rng(seed).standard_normal(
            gpt.bigrams.weight.shape, dtype=np.float32))
    return gpt.eval()


class Oracle:
    """Guesses what a plain run has written, every third time wrongly."""

    name = "an oracle"

    def __init__(self, text):
        self.text, self.asked = text, 0

    def guess(self, text, count):
        self.asked += 1
        found = self.text[len(text) : len(text) + count]
        return [*found[:-1], (found[-1] + 1) % 19] if found and self.asked % 3 == 0 else found


def write(model, prompt, count, sampling, decoder):
    return list(generate(
        model, prompt, max_tokens=count, sampling=sampling, rng=np.random.default_rng(5),
        decoder=decoder,
    ))


SAMPLINGS = {
    "greedy": GREEDY, "warm": Sampling(0.9, top_k=9, top_p=0.97),
    "penalised": Sampling(0.7, repetition_penalty=1.3, presence_penalty=0.2),
}


@pytest.mark.parametrize("scheme", [None, "int8", "int4"])
@pytest.mark.parametrize("how", SAMPLINGS)
@pytest.mark.parametrize(
    "changes", [{}, {"positions": "rope"}, {"positions": "rope", "window": 9}, {"smear": True},
                {"bigrams": True}],
)
def test_the_text_is_the_one_without_guesses(scheme, how, changes):
    model = model_of(**changes)
    if scheme:
        quantize_model(model, scheme)
    prompt = [3, 4, 5, 3, 4]
    plain = write(model, prompt, 60, SAMPLINGS[how], None)  # beyond the context
    for draft in (NgramDraft(), Oracle([*prompt, *plain])):
        decoder = SpeculatingDecoder(model, draft, Always())
        assert write(model, prompt, 60, SAMPLINGS[how], decoder) == plain
    assert decoder.counts.accepted > 0
    assert decoder.counts.passes + decoder.counts.accepted == decoder.counts.tokens == 59


def test_right_guesses_save_passes():
    model, prompt = model_of(), [1, 2, 3]
    plain = write(model, prompt, 33, GREEDY, None)
    decoder = SpeculatingDecoder(model, Oracle([*prompt, *plain]), Always())
    write(model, prompt, 33, GREEDY, decoder)
    counts = decoder.counts
    assert counts.passes < 33 / 3 and counts.accepted > 0.8 * counts.guessed
    assert str(counts).startswith(f"{counts.accepted} of {counts.guessed} guesses were right")


@pytest.mark.parametrize("how", ["greedy", "warm"])
def test_a_model_drafts_for_its_twin_without_a_miss(how):
    model, rng = model_of(), np.random.default_rng(5)
    draft = ModelDraft(model_of(), model, SAMPLINGS[how], rng)
    decoder = SpeculatingDecoder(model, draft, Always())
    written = list(generate(
        model, [1, 2, 3], max_tokens=30, sampling=SAMPLINGS[how], rng=rng, decoder=decoder
    ))
    assert written == write(model, [1, 2, 3], 30, SAMPLINGS[how], None)
    assert decoder.counts.accepted >= decoder.counts.guessed - GUESSES  # the last may be cut off


def test_a_worse_model_drafts_worse_and_changes_nothing():
    model, rng = model_of(), np.random.default_rng(5)
    draft = ModelDraft(model_of(7, n_layers=1), model, SAMPLINGS["warm"], rng)
    decoder = SpeculatingDecoder(model, draft, Always())
    written = list(generate(
        model, [1, 2, 3], max_tokens=60, sampling=SAMPLINGS["warm"], rng=rng, decoder=decoder
    ))
    assert written == write(model, [1, 2, 3], 60, SAMPLINGS["warm"], None)
    assert 0 < decoder.counts.accepted < decoder.counts.guessed


def test_pairs_of_tokens_have_the_distribution_of_the_model():
    """Chi-square of the two tokens after a prompt, over many seeds, guessed by another model."""
    model, other = (model_of(seed, vocab_size=4, d_model=16, context=8) for seed in (0, 7))
    prompt, how, texts = [1, 2], Sampling(2.0), 1000

    def after(*ids):
        return softmax_forward(Decoder(model).feed(np.array([[*prompt, *ids]]))[0] / 2.0)

    expected = texts * sum(
        after()[one] * np.array([after(one)[two] * after(one, two) for two in range(4)])
        for one in range(4)
    )
    counts, right = np.zeros((4, 4)), 0
    for seed in range(texts):
        rng = np.random.default_rng(seed)
        decoder = SpeculatingDecoder(model, ModelDraft(other, model, how, rng), Always())
        text = generate(model, prompt, max_tokens=3, sampling=how, rng=rng, decoder=decoder)
        _, second, third = text  # there is no guess of the first
        counts[second, third] += 1
        right += decoder.counts.accepted
    assert 0 < right < texts
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert chi_square < 37.7  # 15 degrees of freedom: one in a thousand is above


def test_what_is_said_after_an_answer_follows_it():
    model, ids = model_of(), [1, 2, 3, 1, 2, 3, 1]
    decoder, plain = SpeculatingDecoder(model, NgramDraft(), Always()), Decoder(model)
    for each in (decoder, plain):
        each.feed(np.array([ids]))
        each.step(np.array([2]))
    assert decoder.counts.guessed == GUESSES and decoder.length == plain.length
    one, other = (each.feed(np.array([[9, 8, 7]])) for each in (decoder, plain))
    assert np.array_equal(one, other)


@pytest.mark.parametrize("smear", [False, True])
def test_rewinding_forgets_what_differs(smear):
    model = model_of(smear=smear)
    decoder = Decoder(model)
    decoder.feed(np.array([[1, 2, 3, 4]]))
    decoder.rewind_to(np.array([1, 2, 9, 9, 9]))
    assert decoder.length == 2
    again = Decoder(model)
    again.feed(np.array([[1, 2]]))
    np.testing.assert_allclose(
        decoder.step(np.array([5])), again.step(np.array([5])), rtol=1e-4, atol=1e-4
    )


def test_ngrams_are_looked_up_longest_first():
    draft = NgramDraft()
    text = np.array([7, 1, 2, 3, 9, 9, 2, 3, 8, 8, 1, 2, 3])
    assert draft.guess(text, 3) == [9, 9, 2]  # after 1 2 3, though 2 3 came later
    assert draft.guess(np.array([1, 2, 3]), 3) == []
    assert draft.guess(np.array([4]), 3) == []


def test_guesses_that_cost_more_than_they_bring_are_paused():
    pace = Pace()
    assert not pace.tries()
    for _ in range(Pace.FIRST):
        pace.stepped(1.0)
    assert pace.tries()
    pace.passed(2.0, 4)
    assert pace.tries()
    for _ in range(8):
        pace.passed(2.0, 1)
    assert not pace.tries()
    for _ in range(Pace.LONGEST_PAUSE):
        pace.stepped(1.0)
    assert pace.tries()


def test_a_small_model_is_not_drafted_for():
    model = model_of()
    decoder = decoder_for(model, NgramDraft())
    assert type(decoder) is Decoder and not worth_drafting(decoder._network)


def test_a_draft_of_another_vocabulary_is_refused():
    with pytest.raises(UserError, match="same tokenizer"):
        ModelDraft(model_of(vocab_size=7), model_of(), GREEDY, np.random.default_rng(0))


def test_another_backend_writes_the_same_likeliest_tokens():
    with using("numpy"):
        model, prompt = model_of(), [1, 2, 3, 1, 2]
        decoder = SpeculatingDecoder(model, NgramDraft(), Always())
        assert write(model, prompt, 20, GREEDY, decoder) == write(model, prompt, 20, GREEDY, None)
