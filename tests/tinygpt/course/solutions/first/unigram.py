import math
from collections import Counter

from tinygpt.tokenizer.naive_unigram import ways


def expect(words, scores):
    expected, likelihood = {piece: 0.0 for piece in scores}, 0.0
    for word, count in words.items():
        found = list(ways(word, scores))
        chances = [math.prod(math.exp(scores[p]) for p in way) for way in found]
        whole = math.fsum(chances)
        for way, chance in zip(found, chances, strict=True):
            for piece, times in Counter(way).items():
                expected[piece] += times * count * chance / whole
        likelihood += count * math.log(whole)
    return expected, likelihood
