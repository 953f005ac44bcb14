import numpy as np

from kernels.numpy_ref.matmul_int8 import TINY


def quantize_rows(x):
    peak = np.maximum(x.max(axis=-1, initial=0), -x.min(axis=-1, initial=0))
    scale = (peak / x.dtype.type(127)).astype(x.dtype)
    scale = np.where(peak < TINY, x.dtype.type(0), scale)
    with np.errstate(all="ignore"):
        inverse = np.where(scale == 0, 0, 1 / scale).astype(x.dtype)
    return np.round(x * inverse[..., None]).astype(np.int8), scale
