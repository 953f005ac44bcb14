import numpy as np


def test(smallest):
    rng = np.random.default_rng(0)
    asked = (8, 4, 0.5), (10, 4, 0.5), (9, 9, 0.3), (5, None, 0.1 + 0.7), (7, 3, 0.9)
    for width, group, share in asked:
        score = rng.integers(0, 4, (6, width)).astype(float)
        gone = smallest(score, share, group)
        for start in range(0, width, group or width):
            part = score[:, start : start + (group or width)]
            count = int(share * part.shape[1] + 1e-9)
            for row, marks in zip(part, gone[:, start : start + part.shape[1]], strict=True):
                wanted = sorted(range(len(row)), key=lambda k: (row[k], k))[:count]
                assert sorted(wanted) == np.flatnonzero(marks).tolist()
