import random


def rows_of(sizes, length):
    rows, left, opened = [], [], []
    for number, size in enumerate(sizes):
        fits = [row for row in opened if left[row] >= size]
        if fits:
            row = min(fits, key=lambda one: (left[one], one))
            rows[row].append(number)
        else:
            row = len(rows)
            rows.append([number])
            left.append(length)
            opened.append(row)
        left[row] -= size
        if not left[row]:
            opened.remove(row)
        if len(opened) > 64:
            opened.remove(min(opened, key=lambda one: (left[one], one)))
    return rows


def test(packed):
    draw = random.Random(0)
    for _ in range(100):
        sizes = [draw.randint(1, 6) for _ in range(12)]
        assert packed(sizes, 8) == rows_of(sizes, 8)
    many = [7] * 70 + [1] * 70
    assert packed(many, 8) == rows_of(many, 8)
