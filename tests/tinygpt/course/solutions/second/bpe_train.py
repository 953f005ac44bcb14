from collections import Counter


def train(words, n_merges):
    merges, words = [], [list(word) for word in words]
    for number in range(n_merges):
        counts = Counter()
        for word in words:
            counts.update(zip(word, word[1:], strict=False))
        best = max(counts, key=lambda p: (counts[p], -p[0], -p[1]), default=None)
        if best is None:
            break
        merges += [best]
        for word in words:
            i = 0
            while i < len(word) - 1:
                if (word[i], word[i + 1]) == best:
                    word[i : i + 2] = [256 + number]
                i += 1
    return merges
