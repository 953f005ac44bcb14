import itertools
import math
import random


def test(krippendorff):
    draw = random.Random(0)
    for _ in range(200):
        items = [[draw.choice("abt") for _ in range(draw.randint(0, 4))] for _ in range(4)]
        known = [marks for marks in items if len(marks) > 1]
        every = [mark for marks in known for mark in marks]
        apart = [a != b for a, b in itertools.permutations(every, 2)]
        found = krippendorff(items)
        if not any(apart):
            assert math.isnan(found)
            continue
        seen = 0.0
        for marks in known:
            unlike = [a != b for a, b in itertools.permutations(marks, 2)]
            seen += len(marks) * sum(unlike) / len(unlike)
        alpha = 1 - seen / len(every) / (sum(apart) / len(apart))
        assert math.isclose(found, alpha, abs_tol=1e-9)
