from collections import Counter

import numpy as np


def repeated_ngrams(words, lengths, most):
    found = []
    for n in range(2, most + 1):
        grams = [tuple(words[i : i + n].tolist()) for i in range(len(words) - n + 1)]
        counts = Counter(grams)
        twice = [i for i, gram in enumerate(grams) if counts[gram] > 1]
        if not twice:
            found.append((0, 0, 0))
            continue
        top = max(counts.values())
        longest = max(lengths[i : i + n].sum() for i in twice if counts[grams[i]] == top)
        marked = sorted({i + j for i in twice for j in range(n)})
        found.append((top, longest, lengths[marked].sum()))
    return np.array(found, np.int64).reshape(most - 1, 3)
