import numpy as np

from tinygpt.training.step import Gathered


def gradients(model, batches, loss, optimizer):
    optimizer.zero_grad()
    weights = np.array([batch.weight for batch in batches], float)
    shares = weights / weights.sum()
    mean, logged, tokens = 0.0, {}, 0
    for share, batch in zip(shares, batches, strict=True):
        value, numbers = loss(model, batch)
        (value * float(share)).backward()
        mean += share * value.item()
        tokens += batch.tokens
        for name, number in numbers.items():
            logged[name] = logged.get(name, 0.0) + float(share) * number
    return Gathered(float(mean), logged, tokens)
