import numpy as np


def rotate(x, cos, sin):
    R = cos.shape[-1]
    kind = np.complex64 if x.dtype == np.float32 else np.complex128
    z = (x[..., :R] + 1j * x[..., R : 2 * R]).astype(kind) * (cos + 1j * sin).astype(kind)
    return np.concatenate([z.real, z.imag, x[..., 2 * R :]], axis=-1)
