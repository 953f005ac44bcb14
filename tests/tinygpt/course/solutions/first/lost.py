import math


def lost(points, start):
    best = points[0]
    for point in points[1:]:
        if point.gold > best.gold:
            best = point
    if best.gold <= start:
        return best.kl, math.nan
    return best.kl, 1 - (points[-1].gold - start) / (best.gold - start)
