from tinygpt.text.split import SPLITS


def _by_position(sizes, fractions):
    total = sum(sizes)
    train = int(round(total * fractions[0], 9))
    held = int(round(total * (fractions[0] + fractions[1]), 9))
    owner = [SPLITS[0]] * train + [SPLITS[1]] * (held - train) + [SPLITS[2]] * (total - held)
    plan, start = [], 0
    for size in sizes:
        mine = owner[start : start + size]
        parts = [(name, mine.index(name), mine.index(name) + mine.count(name))
                 for name in SPLITS if name in mine]
        plan.append(parts)
        start += size
    return plan
