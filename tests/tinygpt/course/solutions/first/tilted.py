import math

from tinygpt.alignment.best_of_n import Point


def tilted(proxy, gold, beta):
    top = max(proxy.tolist())
    weights = [math.exp((p - top) / beta) for p in proxy.tolist()]
    total = sum(weights)
    kl = mean = wanted = 0.0
    for weight, p, g in zip(weights, proxy.tolist(), gold.tolist(), strict=True):
        share = weight / total
        if share:
            kl += share * math.log(share * len(weights))
        mean += share * p
        wanted += share * g
    return Point(kl, mean, wanted)
