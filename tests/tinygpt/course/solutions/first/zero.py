from tinygpt.cluster.memory import GRADIENT, OPTIMIZER, WEIGHT


def states(parameters, data, zero):
    if zero < 0 or zero > 3:
        raise ValueError(f"no stage {zero}")
    weights, gradients, optimizer = (parameters * b for b in (WEIGHT, GRADIENT, OPTIMIZER))
    if zero > 0:
        optimizer /= data
    if zero > 1:
        gradients /= data
    if zero > 2:
        weights /= data
    return weights, gradients, optimizer
