def encode(word, scores):
    best = [(0.0, 0)] + [(-float("inf"), 0)] * len(word)
    for end in range(1, len(word) + 1):
        for start in range(end):
            piece = word[start:end]
            if piece in scores:
                best[end] = max(best[end], (best[start][0] + scores[piece], start))
    if best[-1][0] == -float("inf"):
        raise ValueError("no way")
    pieces, end = [], len(word)
    while end:
        start = best[end][1]
        pieces.append(word[start:end])
        end = start
    return tuple(pieces[::-1])
