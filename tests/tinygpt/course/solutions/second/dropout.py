from kernels import checks
from kernels.numpy_ref.dropout import keep_mask


def dropout_forward(x, p, key):
    keep = keep_mask(x.size, p, checks.dropout(p, key)).reshape(x.shape)
    return x * (keep.astype(x.dtype) * x.dtype.type(1 / (1 - p)))
