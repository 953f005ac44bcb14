from collections import Counter


def duplicated(n):
    def covered(view):
        words = view.words
        grams = [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]
        counts = Counter(grams)
        marked = {i + j for i, gram in enumerate(grams) if counts[gram] > 1 for j in range(n)}
        if not marked:
            return 0.0
        return sum(len(words[i]) for i in marked) / sum(map(len, words))

    return covered
