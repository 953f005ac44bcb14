"""Answers drawn by the policy: the distribution sampled is the one whose probability is kept."""

import numpy as np
import pytest

from tinygpt.adapters import MethodConfig, adapt
from tinygpt.alignment.rollouts import draw_answers
from tinygpt.alignment.scores import token_scores
from tinygpt.errors import UserError
from tinygpt.finetuning.packing import batch_of
from tinygpt.finetuning.rendering import Sample
from tinygpt.model import ModelShape, build

PROMPTS = [np.array([1, 2, 3]), np.array([4, 5]), np.array([2, 2, 2, 2, 1])]
END = 8


def model(**shape):
    made = build(ModelShape(vocab_size=9, context=24, n_layers=2, n_heads=2, d_model=16, **shape),
                 np.random.default_rng(0))
    for parameter in made.parameters():  # far from uniform
        parameter.data *= 3
    return made


def drawn(made, group=4, most=10, temperature=0.7, seed=1):
    return draw_answers(made, PROMPTS, group, {END}, most, temperature, np.random.default_rng(seed))


SHAPES = {
    "gpt": {}, "llama": {"positions": "rope", "norm": "rmsnorm", "activation": "swiglu"},
    "smear": {"smear": True},
}


@pytest.mark.parametrize("name", SHAPES)
def test_the_log_probabilities_are_those_of_the_forward_pass(name):
    made = model(**SHAPES[name])
    answers = drawn(made)
    rows = []
    for i, answer in enumerate(answers):
        both = np.concatenate([PROMPTS[i // 4], answer.ids])
        rows.append([Sample(both, np.arange(len(both)) >= len(PROMPTS[i // 4]))])
    again = token_scores(made, batch_of(rows), 0.7).data
    np.testing.assert_allclose(np.concatenate([a.log_pi for a in answers]), again, atol=2e-5)
    assert len({len(answer.ids) for answer in answers}) > 1


def test_a_lora_writes_as_itself():
    made = model()
    adapt(made, MethodConfig("lora", rank=2), np.random.default_rng(0))
    for name, parameter in made.named_parameters():
        if name.endswith(".B"):
            parameter.data += np.random.default_rng(1).normal(size=parameter.shape) * 0.3
    answer = drawn(made)[0]
    both = np.concatenate([PROMPTS[0], answer.ids])
    again = token_scores(made, batch_of([[Sample(both, np.arange(len(both)) >= 3)]]), 0.7).data
    np.testing.assert_allclose(answer.log_pi, again, atol=2e-5)


def test_answers_end_at_the_end_or_are_cut_off():
    for answer in drawn(model(), group=16, most=6):
        assert answer.ended == (answer.ids[-1] == END) and len(answer.ids) <= 6
        assert not (answer.ids[:-1] == END).any() and len(answer.log_pi) == len(answer.ids)
    whole = drawn(model(), group=2, most=100)
    assert max(len(answer.ids) for answer in whole) <= 24 - 2


def test_the_same_numbers_give_the_same_answers():
    first, second, other = drawn(model()), drawn(model()), drawn(model(), seed=2)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a.ids, b.ids)
        np.testing.assert_array_equal(a.log_pi, b.log_pi)
    assert any(not np.array_equal(a.ids, b.ids) for a, b in zip(first, other, strict=True))


def test_first_tokens_are_drawn_by_their_probability():
    """2,000 answers to each prompt: frequencies within four deviations of the model's."""
    made, count = model(), 2000
    answers = drawn(made, group=count, most=1, temperature=1.0)
    logits = made.eval()(PROMPTS[1][None]).data[0, -1].astype(np.float64)
    p = np.exp(logits - logits.max())
    p /= p.sum()
    seen = np.bincount([int(a.ids[0]) for a in answers[count : 2 * count]], minlength=9) / count
    assert (np.abs(seen - p) <= 4 * np.sqrt(p * (1 - p) / count) + 1e-9).all()


def test_a_prompt_that_fills_the_context_is_refused():
    with pytest.raises(UserError, match="a prompt is 24 tokens long"):
        draw_answers(model(), [np.ones(24, np.int64)], 2, {END}, 5, 1.0, np.random.default_rng(0))
