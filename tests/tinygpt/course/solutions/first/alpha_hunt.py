import math


def test(krippendorff):
    def close(items, value):
        assert abs(krippendorff(items) - value) < 1e-9, items

    close([["a", "a"], ["b", "b"], ["t", "t", "t"]], 1)
    # n = 9; unlike: (a, a, b) 4 / 2, (b, a) 2 / 1; a 4, b 5
    items = [["a", "a", "b"], ["b", "b", "b"], [], ["a"], ["b", "a"], ["t"]]
    close([*items, []], 1 - 7 * 4 / (64 - 9 - 25))
    close([["a", "b", "a"], ["b", "b"], ["a", "b", "b", "a"]],
          1 - 8 * (2 + 8 / 3) / (81 - 16 - 25))
    assert math.isnan(krippendorff([["a", "a"], ["b"]])) and math.isnan(krippendorff([]))
