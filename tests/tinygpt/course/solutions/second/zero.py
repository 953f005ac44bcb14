from tinygpt.cluster.memory import GRADIENT, OPTIMIZER, WEIGHT


def states(parameters, data, zero):
    parts = {0: (1, 1, 1), 1: (1, 1, data), 2: (1, data, data), 3: (data, data, data)}
    if zero not in parts:
        raise ValueError(zero)
    sizes = (WEIGHT, GRADIENT, OPTIMIZER)
    return tuple(parameters * size / part for size, part in zip(sizes, parts[zero], strict=True))
