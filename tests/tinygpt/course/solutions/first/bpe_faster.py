def encode(word, merges):
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    word = list(word)
    while len(word) > 1:
        best = min(zip(word, word[1:], strict=False), key=lambda p: ranks.get(p, len(merges)))
        if best not in ranks:
            break
        out = []
        for token in word:
            if out and (out[-1], token) == best:
                out[-1] = 256 + ranks[best]
            else:
                out.append(token)
        word = out
    return word
