import math


def _score(statistics, effective):
    length, wanted = statistics[:2]
    pairs = list(zip(statistics[2::2], statistics[3::2], strict=True))
    if all(right == 0 for right, _ in pairs):
        return 0.0
    if effective:
        pairs = [pair for pair in pairs if pair[1]]
    elif not all(total for _, total in pairs):
        return 0.0
    product, half = 1.0, 1.0
    for right, total in pairs:
        if not right:
            half /= 2
        product *= (right or half) / total
    short = min(1.0, math.exp(1 - wanted / length))
    return 100 * short * product ** (1 / len(pairs))
