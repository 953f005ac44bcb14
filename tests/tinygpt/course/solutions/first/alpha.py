from collections import Counter


def krippendorff(items):
    pairs, marks = Counter(), Counter()
    for one in items:
        for i, a in enumerate(one):
            for j, b in enumerate(one):
                if i != j:
                    pairs[a, b] += 1 / (len(one) - 1)
        if len(one) > 1:
            marks.update(one)
    n = sum(marks.values())
    by_chance = sum(marks[a] * marks[b] for a in marks for b in marks if a != b)
    if by_chance == 0:
        return float("nan")
    unlike = sum(weight for (a, b), weight in pairs.items() if a != b)
    return 1 - unlike / n / (by_chance / (n * (n - 1)))
