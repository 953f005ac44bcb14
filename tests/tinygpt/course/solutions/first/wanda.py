import numpy as np

from tinygpt.compression.pruning import smallest


def wanda(weight, inputs, share, group=None):
    score = np.abs(weight * inputs.norms)
    made = weight.copy()
    made[smallest(score, share, group)] = 0
    return made
