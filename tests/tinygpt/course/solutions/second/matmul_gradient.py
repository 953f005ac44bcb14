def matmul_backward(dc, a, b):
    def swapped(x):
        return x.swapaxes(-1, -2)

    def fitted(grad, shape):
        while grad.ndim > len(shape):
            grad = grad.sum(axis=0)
        for axis, n in enumerate(shape):
            if n != grad.shape[axis]:
                grad = grad.sum(axis=axis, keepdims=True)
        return grad

    return fitted(dc @ swapped(b), a.shape), fitted(swapped(swapped(dc) @ a), b.shape)
