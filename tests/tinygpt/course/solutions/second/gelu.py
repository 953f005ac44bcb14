import numpy as np

from kernels.numpy_ref.gelu import CUBIC, SQRT_2_OVER_PI


def gelu_with_derivative(x):
    def sigmoid(z):
        with np.errstate(over="ignore"):
            return 1 / (1 + np.exp(-z))

    z = 2 * SQRT_2_OVER_PI * (x + CUBIC * x * x * x)
    dz = 2 * SQRT_2_OVER_PI * (1 + 3 * CUBIC * x * x)
    s = sigmoid(z)
    return x * s, s * (1 + x * dz * sigmoid(-z))
