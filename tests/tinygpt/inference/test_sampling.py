"""tinygpt.inference.sampling: which tokens remain, and how often each is drawn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinygpt.errors import UserError
from tinygpt.inference.sampling import (
    GREEDY,
    Sampling,
    penalise,
    penalise_drawn,
    probabilities,
    sample,
)

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


@pytest.mark.parametrize(
    "option", [{"temperature": float("inf")}, {"top_p": 1.0001}, {"top_p": 2.0}, {"min_p": -0.1},
               {"repetition_penalty": float("inf")}, {"repetition_penalty": -1.0},
               {"temperature": None}],
)
def test_more_settings_out_of_range(option):
    with pytest.raises(UserError, match=f"{next(iter(option))} is "):
        Sampling(**option)


def test_the_ends_of_each_range_are_in_it():
    Sampling(0.0, 1, 1.0, 0.0, 0.5)
    Sampling(1e9, 10**9, 1e-9, 1.0, 1.5)


def test_the_penalty_reaches_the_draw_and_only_with_a_history():
    logits = np.log(np.array([[0.6, 0.4]], np.float32)) + 2  # both above 0
    punished = Sampling(temperature=0.0, repetition_penalty=3.0)
    rng = np.random.default_rng(0)
    assert sample(logits, punished, rng, [[0]]).tolist() == [1]
    assert sample(logits, punished, rng, None).tolist() == [0]
    assert sample(logits, GREEDY, rng, [[0]]).tolist() == [0]


def test_the_callers_logits_are_left_as_they_were():
    logits = np.array([[2.0, -2.0, 0.5, 1.0]], np.float32)
    before = logits.copy()
    sampling = Sampling(0.5, 3, 0.9, 0.1, repetition_penalty=2.0)
    sample(logits, sampling, np.random.default_rng(0), [[0, 1]])
    probabilities(logits, sampling)
    penalise(logits, [[0, 1, 2]], 2.0)
    np.testing.assert_array_equal(logits, before)


def test_small_positive_logits_are_divided_too():
    out = penalise(np.array([[0.5, -0.5, 0.0]], np.float32), [[0, 1, 2]], 2.0)
    np.testing.assert_array_equal(out, [[0.25, -1.0, 0.0]])


class Told:
    """A generator whose uniform numbers are told in advance."""

    def __init__(self, *numbers):
        self.numbers = iter(numbers)

    def random(self):
        return next(self.numbers)


def test_a_draw_takes_the_first_token_beyond_its_number():
    p = np.array([0.0, 0.25, 0.25, 0.0, 0.5, 0.0])  # binary fractions: sums are exact
    with np.errstate(divide="ignore"):
        logits = np.log(p, dtype=np.float32)[None].repeat(6, axis=0)
    numbers = (0.0, 0.2499, 0.25, 0.4999, 0.5, 1 - 2**-53)
    assert sample(logits, Sampling(), Told(*numbers)).tolist() == [1, 1, 2, 2, 4, 4]
    whole = sample(logits[:1], Sampling(), Told(1.0))  # a product that rounded up to the total
    assert whole.tolist() == [4]


def test_rows_of_a_batch_have_their_own_largest_score():
    rows = np.array([[0.0, 1.0, 2.0], [1000.0, 1001.0, 1002.0], [-1e4, 1.0 - 1e4, 2.0 - 1e4]])
    p = probabilities(rows.astype(np.float32), Sampling(temperature=1e-3))
    np.testing.assert_allclose(p, [[0, 0, 1]] * 3)
    for sampling in (Sampling(top_k=2), Sampling(top_p=0.9), Sampling(min_p=0.3)):
        assert ((probabilities(rows.astype(np.float32), sampling) > 0) == [False, True, True]).all()


def test_top_k_of_all_and_of_one():
    assert kept(top_k=5) == 5 and kept(top_k=4) == 4 and kept(top_k=1) == 1


def test_top_p_stops_at_the_token_that_reaches_p():
    """Probabilities of 1/2, 1/4, 1/8, 1/8 whose sums are exact: reaching is enough."""
    logits = np.log(np.array([[0.125, 0.5, 0.125, 0.25]]))
    counts = [(probabilities(logits, Sampling(top_p=p))[0] > 0).sum() for p in (0.5, 0.75, 0.76)]
    assert counts == [1, 2, 4]  # the last two tie


def test_frequency_and_presence_penalties_count_what_was_drawn():
    drawn, even = [[1, 1, 2]], np.zeros((1, 4), np.float32)
    lowered = penalise_drawn(even, drawn, 0.5, 0.25)
    assert lowered.tolist() == [[0.0, -1.25, -0.75, 0.0]] and not even.any()
    rng = np.random.default_rng(0)
    often = Sampling(temperature=0, frequency_penalty=2.0)
    assert sample(LOGITS, often, rng, [[0, 0]], [[0, 0]]) == [1]
    assert sample(LOGITS, often, rng, [[0, 0]], [[]]) == [0]  # a prompt does not count
    assert sample(LOGITS, Sampling(temperature=0, presence_penalty=2.0), rng, None, [[0]]) == [1]
    with pytest.raises(UserError, match="presence_penalty is nan"):
        Sampling(presence_penalty=float("nan"))


def test_top_k_put_aside_first_draws_what_it_would_among_all():
    """Ties with the last one kept are kept, and numbers fall where they would in the whole row."""
    rng = np.random.default_rng(0)
    logits = np.round(rng.normal(size=(40, 50)), 1).astype(np.float32)  # many are equal
    for k in (1, 3, 49, 50, 60):
        sampling = Sampling(temperature=0.7, top_k=k, top_p=0.9)
        got = sample(logits, sampling, np.random.default_rng(1))
        p, numbers = probabilities(logits, sampling), np.random.default_rng(1).random(40)
        right = [int((np.cumsum(row) <= u).sum()) for row, u in zip(p, numbers, strict=True)]
        assert got.tolist() == right
