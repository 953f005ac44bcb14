import numpy as np


def minhash_signature(hashes, factors, offsets):
    least = []
    for a, b in zip(factors.tolist(), offsets.tolist(), strict=True):
        values = [((a * x + b) % 2**64) >> 32 for x in hashes.tolist()]
        least.append(min(values, default=2**32 - 1))
    return np.array(least, np.uint32)
