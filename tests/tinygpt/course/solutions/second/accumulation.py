import numpy as np

from tinygpt.training.step import Gathered


def gradients(model, batches, loss, optimizer):
    optimizer.zero_grad()
    count, found = sum(b.weight for b in batches), []
    for b in batches:
        value, numbers = loss(model, b)
        value.backward(np.array(b.weight / count, value.dtype))
        found.append((b.weight / count, value.item(), numbers))
    names = {name for _, _, numbers in found for name in numbers}
    logged = {name: sum(w * numbers.get(name, 0) for w, _, numbers in found) for name in names}
    return Gathered(sum(w * x for w, x, _ in found), logged, sum(b.tokens for b in batches))
