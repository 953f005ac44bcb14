import numpy as np

from minigrad import ops
from tinygpt.alignment.scores import constant


def clipped(log_pi, log_old, advantages, low, high):
    rho = ops.exp(log_pi - constant(log_old, log_pi))
    # The lesser gain: with A above 0 the lesser of rho and 1 + high, else the greater of 1 - low
    least = np.where(advantages < 0, 1 - low, -np.inf)
    most = np.where(advantages < 0, np.inf, 1 + high)
    held = ops.maximum(ops.minimum(rho, constant(most, rho)), constant(least, rho))
    return held * constant(-np.asarray(advantages), rho)
