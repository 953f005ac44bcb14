import numpy as np


def unbroadcast(grad, shape):
    while grad.ndim > len(shape):
        grad = grad.sum(axis=0)
    if grad.ndim < len(shape):
        raise ValueError("it has fewer axes")
    stretched = tuple(i for i, n in enumerate(shape) if n == 1)
    small = np.sum(grad, axis=stretched, keepdims=True)
    if small.shape != tuple(shape):
        raise ValueError(f"{grad.shape} is not of {shape}")
    return small
