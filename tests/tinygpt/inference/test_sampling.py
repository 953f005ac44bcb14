"""tinygpt.inference.sampling: which tokens remain, and how often each is drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygpt.errors import UserError
from tinygpt.inference.sampling import GREEDY, Sampling, penalise, probabilities, sample

LOGITS = np.log(np.array([[0.5, 0.25, 0.15, 0.07, 0.03]], dtype=np.float32))


def kept(**options):
    return (probabilities(LOGITS, Sampling(**options))[0] > 0).sum()


def test_temperature_zero_takes_the_likeliest_and_draws_nothing():
    rng = np.random.default_rng(1)
    assert sample(LOGITS, GREEDY, rng) == [0]
    assert rng.random() == np.random.default_rng(1).random()


def test_filters_keep_what_their_definitions_say():
    assert kept(top_k=2) == 2
    assert kept(top_k=99) == 5
    assert kept(top_p=0.5) == 1
    assert kept(top_p=0.51) == 2
    assert kept(top_p=1.0) == 5
    assert kept(top_p=1e-9) == 1
    assert kept(min_p=0.2) == 3
    assert kept(min_p=1.0) == 1
    assert kept(min_p=0.0) == 5


def test_filters_apply_after_the_temperature():
    assert kept(top_p=0.8, temperature=0.25) == 1
    assert kept(top_p=0.8, temperature=4.0) == 4


def test_tokens_that_tie_with_the_last_kept_are_kept():
    flat = np.zeros((1, 7), dtype=np.float32)
    assert (probabilities(flat, Sampling(top_k=3)) > 0).all()
    assert (probabilities(flat, Sampling(top_p=0.3)) > 0).all()


def test_frequencies_follow_the_probabilities():
    rng = np.random.default_rng(0)
    drawn = sample(np.repeat(LOGITS, 20000, axis=0), Sampling(), rng)
    share = np.bincount(drawn, minlength=5) / len(drawn)
    assert np.abs(share - np.exp(LOGITS[0])).max() < 0.012  # three standard deviations


def test_batch_rows_are_drawn_as_they_would_be_alone():
    rng = np.random.default_rng(3)
    logits = rng.standard_normal((4, 50)).astype(np.float32)
    sampling = Sampling(temperature=0.7, top_k=20, top_p=0.9, min_p=0.01)
    together = sample(logits, sampling, np.random.default_rng(5))
    alone = np.random.default_rng(5)
    assert together.tolist() == [int(sample(row[None], sampling, alone)[0]) for row in logits]


def test_repetition_penalty_lowers_positive_and_negative_logits_of_seen_tokens():
    logits = np.array([[2.0, -2.0, 1.0], [2.0, -2.0, 1.0]], dtype=np.float32)
    out = penalise(logits, [np.array([0, 1, 1]), np.array([], dtype=np.int64)], 2.0)
    np.testing.assert_array_equal(out, [[1.0, -4.0, 1.0], [2.0, -2.0, 1.0]])


@given(
    seed=st.integers(0, 2**32 - 1),
    scale=st.sampled_from([1e-3, 1.0, 100.0, 1e30]),
    top_k=st.none() | st.integers(1, 40),
    top_p=st.none() | st.floats(1e-6, 1.0),
    min_p=st.none() | st.floats(0.0, 1.0),
    temperature=st.sampled_from([1e-6, 0.5, 1.0, 100.0]),
)
def test_the_drawn_token_is_always_one_that_may_be_drawn(
    seed, scale, top_k, top_p, min_p, temperature
):
    rng = np.random.default_rng(seed)
    logits = (rng.standard_normal((3, 33)) * scale).astype(np.float32)
    logits[0, rng.integers(0, 33, 30)] = -np.inf
    logits[0, 5] = 0
    sampling = Sampling(temperature, top_k, top_p, min_p)
    p = probabilities(logits, sampling)
    np.testing.assert_allclose(p.sum(axis=-1), 1)
    assert (np.take_along_axis(p, logits.argmax(-1)[:, None], -1) > 0).all()
    token = sample(logits, sampling, rng)
    assert (np.take_along_axis(p, token[:, None], -1) > 0).all()


def test_a_nan_logit_is_an_error_that_says_what_to_do():
    logits = LOGITS.copy()
    logits[0, 2] = np.nan
    with pytest.raises(UserError, match="not numbers.*earlier checkpoint"):
        sample(logits, Sampling(), np.random.default_rng(0))


@pytest.mark.parametrize(
    "option", [{"temperature": -1}, {"top_k": 0}, {"top_p": 0.0}, {"min_p": 1.5},
               {"repetition_penalty": 0}, {"temperature": float("nan")}],
)
def test_a_setting_out_of_range_names_itself(option):
    name, value = next(iter(option.items()))
    with pytest.raises(UserError, match=f"{name} is {value}"):
        Sampling(**option)
