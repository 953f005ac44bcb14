def kappa(pairs):
    n = len(pairs)
    if n == 0:
        return float("nan")
    marks = sorted({mark for pair in pairs for mark in pair})
    agreed = len([1 for a, b in pairs if a == b]) / n
    firsts, seconds = [a for a, _ in pairs], [b for _, b in pairs]
    by_chance = sum(firsts.count(m) / n * (seconds.count(m) / n) for m in marks)
    if by_chance >= 1:
        return float("nan")
    return (agreed - by_chance) / (1 - by_chance)
