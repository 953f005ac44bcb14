import numpy as np

from tinygpt.compression.rounding import EXPONENTS, Scaled, _cost


def awq_scale(weights, inputs, exponents=EXPONENTS):
    if not len(exponents):
        raise ValueError("awq_scale: no exponents")
    least = 1e-6 * max(1e-12, inputs.size.max())
    size = np.where(inputs.size < least, least, inputs.size)
    found = []
    for a in exponents:
        raised = np.exp(a * np.log(size))
        middle = np.exp((np.log(raised.max()) + np.log(raised.min())) / 2)
        factor = (raised / middle).astype(np.float32)
        found.append(Scaled(a, factor, sum(_cost(w, factor, inputs.second) for w in weights)))
    return min(found, key=lambda one: one.damage)
