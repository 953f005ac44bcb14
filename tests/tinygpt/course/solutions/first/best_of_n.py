from tinygpt.alignment.best_of_n import Point, kl_of_best


def best_of_n(proxy, gold, n):
    N, mean, wanted = len(proxy), 0.0, 0.0
    for i, (p, g) in enumerate(sorted(zip(proxy, gold, strict=True), key=lambda pair: pair[0]), 1):
        weight = (i / N) ** n - ((i - 1) / N) ** n
        mean += weight * p
        wanted += weight * g
    return Point(kl_of_best(n), float(mean), float(wanted))
