import numpy as np

from tinygpt.compression.rounding import Scaled, _cost


def awq_scale(weights, inputs, exponents=tuple(i / 20 for i in range(20))):
    if not exponents:
        raise ValueError("awq_scale: no exponents")
    floor = 1e-6 * max(inputs.size.max(), 1e-12)
    logs = np.log(np.clip(inputs.size, floor, None))
    logs = logs - (logs.max() + logs.min()) / 2
    best = (np.inf, 0.0, None)
    for a in exponents:
        factor = np.exp(a * logs).astype(np.float32)
        cost = 0.0
        for weight in weights:
            cost += _cost(weight, factor, inputs.second)
        if cost < best[0]:
            best = cost, a, factor
    return Scaled(best[1], best[2], best[0])
