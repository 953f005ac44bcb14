import numpy as np


def minhash_signature(hashes, factors, offsets):
    every = hashes[None, :] * factors[:, None] + offsets[:, None]  # (K, shingles)
    upper = (every >> np.uint64(32)).astype(np.uint32)
    return upper.min(axis=1, initial=np.uint32(2**32 - 1))
