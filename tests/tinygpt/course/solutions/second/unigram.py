import math


def expect(words, scores):
    expected, likelihood = dict.fromkeys(scores, 0.0), 0.0
    for word, count in words.items():
        n = len(word)
        left, right = [1.0] + [0.0] * n, [0.0] * n + [1.0]
        spans = [(i, j, word[i:j]) for i in range(n) for j in range(i + 1, n + 1)
                 if word[i:j] in scores]
        for i, j, piece in spans:
            left[j] += left[i] * math.exp(scores[piece])
        for i, j, piece in reversed(spans):
            right[i] += right[j] * math.exp(scores[piece])
        for i, j, piece in spans:
            expected[piece] += count * left[i] * math.exp(scores[piece]) * right[j] / left[n]
        likelihood += count * math.log(left[n])
    return expected, likelihood
