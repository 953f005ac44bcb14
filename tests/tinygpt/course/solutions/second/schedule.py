import math


def warmup_cosine(lr, min_lr, warmup_steps, steps):
    if not (warmup_steps >= 0 and steps >= 1 and min_lr <= lr):
        raise ValueError(f"{lr} {min_lr} {warmup_steps} {steps}")
    left = max(steps - warmup_steps, 1)

    def rate(step):
        if step < warmup_steps:
            return lr * (1 + step) / (1 + warmup_steps)
        gone = 1.0 if step >= steps else (step - warmup_steps) / left
        return min_lr + (lr - min_lr) * math.cos(math.pi / 2 * gone) ** 2

    return rate
