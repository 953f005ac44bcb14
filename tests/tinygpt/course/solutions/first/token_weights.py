import numpy as np


def token_weights(counts, mean, longest):
    made = []
    for count in counts.tolist():
        if mean == "grpo":
            each = 1 / len(counts) / count
        elif mean == "dr_grpo":
            each = 1 / len(counts) / longest
        else:
            each = 1 / sum(counts.tolist())
        made += [each] * count
    return np.array(made)
