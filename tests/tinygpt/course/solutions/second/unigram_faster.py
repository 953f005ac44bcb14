def encode(word, scores):
    reach = max(map(len, scores))
    known = {len(word): (0.0, ())}
    for start in range(len(word) - 1, -1, -1):
        choices = [
            (scores[word[start:end]] + known[end][0], (word[start:end], *known[end][1]))
            for end in range(start + 1, min(start + reach, len(word)) + 1)
            if word[start:end] in scores and end in known
        ]
        if choices:
            known[start] = max(choices)
    if 0 not in known:
        raise ValueError(f"{word} cannot be written")
    return known[0][1]
