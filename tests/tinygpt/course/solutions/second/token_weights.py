import numpy as np


def token_weights(counts, mean, longest):
    own = np.repeat(counts, counts).astype(float)
    if mean == "dapo":
        return np.ones(len(own)) / len(own)
    below = own if mean == "grpo" else np.full(len(own), float(longest))
    return 1 / below / len(counts)
