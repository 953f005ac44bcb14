import itertools
import math


def test(kappa):
    every = list(itertools.product("ab", repeat=2)) + [("c", "a")]
    for pairs in itertools.product(every, repeat=3):
        agreed = sum(a == b for a, b in pairs) / 3
        chance = sum(a == b for (a, _), (_, b) in itertools.product(pairs, pairs)) / 9
        found = kappa(list(pairs))
        if chance == 1:
            assert math.isnan(found)
        else:
            assert math.isclose(found, (agreed - chance) / (1 - chance), abs_tol=1e-9)
