import numpy as np

from tinygpt.data.baselines import _unigram


def _bigram(fit, held, vocab_size, k):
    if len(held) < 2:
        return float("nan")
    counts = np.zeros((vocab_size, vocab_size))
    np.add.at(counts, (fit[:-1], fit[1:]), 1)
    table = counts + k * _unigram(fit, vocab_size)
    table /= counts.sum(axis=1, keepdims=True) + k
    return float(-np.log(table[held[:-1], held[1:]]).mean())
