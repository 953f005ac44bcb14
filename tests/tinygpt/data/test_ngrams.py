"""Counted n-grams against the same rule written for one n-gram at a time, with dictionaries."""

from collections import Counter

import numpy as np
import pytest

from tinygpt.data.ngrams import growing, loss

SIZE, ORDERS = 5, 4
RNG = np.random.default_rng(0)
TRAIN = RNG.choice(SIZE - 1, 400, p=[0.4, 0.3, 0.2, 0.1])  # the last character never occurs
HELD = np.r_[RNG.integers(0, SIZE, 60), TRAIN[:40]]


def grams(text, n):
    return [tuple(text[at : at + n]) for at in range(len(text) - n + 1)]


def probability(gram, longest):
    """Of the last of `gram` after the others, under a model of order `longest`."""
    n, text = len(gram), TRAIN.tolist()
    if n == 0:
        return 1 / SIZE
    counts = Counter(grams(text, n))
    if n < longest:  # after how many different characters it stood
        counts = Counter(longer[1:] for longer in set(grams(text, n + 1)))
    ones, twos = (sum(c == times for c in counts.values()) for times in (1, 2))
    discount = (ones / max(ones + 2 * twos, 1)) or 0.5
    same = {g: c for g, c in counts.items() if g[:-1] == gram[:-1]}
    shorter = probability(gram[1:], longest)
    if not same:
        return shorter
    mass = max(counts[gram] - discount, 0) + discount * len(same) * shorter
    return mass / sum(same.values())


@pytest.mark.parametrize("order", range(1, ORDERS + 1))
def test_losses_are_the_rules(order):
    models = list(growing(TRAIN, SIZE, ORDERS))
    expected = [-np.log(probability(gram, order)) for gram in grams(HELD.tolist(), order)]
    assert loss(models[order - 1], HELD, SIZE) == pytest.approx(np.mean(expected), rel=1e-9)


@pytest.mark.parametrize("order", range(1, ORDERS + 1))
def test_probabilities_after_any_context_add_up_to_one(order):
    model = list(growing(TRAIN, SIZE, ORDERS))[order - 1]
    for context in np.ndindex(*(SIZE,) * (order - 1)):
        each = [np.exp(-loss(model, np.array([*context, w]), SIZE)) for w in range(SIZE)]
        assert sum(each) == pytest.approx(1, abs=1e-9)
