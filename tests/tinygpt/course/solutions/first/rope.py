

def rotate(x, cos, sin):
    R = cos.shape[-1]
    y = x.copy()
    y[..., :R] = x[..., :R] * cos - x[..., R : 2 * R] * sin
    y[..., R : 2 * R] = x[..., R : 2 * R] * cos + x[..., :R] * sin
    return y
