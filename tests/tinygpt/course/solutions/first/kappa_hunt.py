import math


def test(kappa):
    table = {("y", "y"): 20, ("y", "n"): 5, ("n", "y"): 10, ("n", "n"): 15}
    pairs = [pair for pair, count in table.items() for _ in range(count)]
    assert abs(kappa(pairs) - 0.4) < 1e-12
    three = [("a", "a"), ("a", "b"), ("b", "b"), ("c", "c"), ("c", "a"), ("a", "a")]
    expected = (3 * 3 + 1 * 2 + 2 * 1) / 36
    assert abs(kappa(three) - (4 / 6 - expected) / (1 - expected)) < 1e-12
    assert math.isnan(kappa([])) and math.isnan(kappa([("a", "a")] * 3))
    assert kappa([("a", "a"), ("b", "b"), ("b", "b")]) == 1
