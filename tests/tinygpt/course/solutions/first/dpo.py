from minigrad import ops
from tinygpt.alignment.scores import constant


def dpo(pairs, beta, smoothing=0.0):
    chosen = pairs.chosen - constant(pairs.chosen_reference, pairs.chosen)
    rejected = pairs.rejected - constant(pairs.rejected_reference, pairs.rejected)
    h = (chosen - rejected) * beta
    # -log sigma(-h) = h - log sigma(h)
    return ops.softplus(-h) + h * constant(smoothing, h)
