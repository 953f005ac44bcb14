import numpy as np

from minigrad import Tensor


def clipped(log_pi, log_old, advantages, low, high):
    rho = np.exp(log_pi.data - log_old)
    free, held = -rho * advantages, -np.clip(rho, 1 - low, 1 + high) * advantages
    slope = np.where(free >= held, free, 0)
    return Tensor(np.maximum(free, held), (log_pi,), lambda dy: (dy * slope,))
