def unbroadcast(grad, shape):
    extra = grad.ndim - len(shape)
    if extra < 0:
        raise ValueError("too many axes")
    padded = (1,) * extra + tuple(shape)
    for axis, n in enumerate(padded):
        if n != grad.shape[axis]:
            if n != 1:
                raise ValueError(f"axis {axis} has {grad.shape[axis]}, not {n}")
            grad = grad.sum(axis=axis, keepdims=True)
    return grad.reshape(shape)
