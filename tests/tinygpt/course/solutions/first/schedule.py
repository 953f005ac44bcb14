import math


def warmup_cosine(lr, min_lr, warmup_steps, steps):
    if warmup_steps < 0 or steps < 1 or min_lr > lr:
        raise ValueError("no such schedule")

    def rate(step):
        if step < warmup_steps:
            return lr / (warmup_steps + 1) * (step + 1)
        if step >= steps:
            return min_lr
        angle = math.pi * (step - warmup_steps) / (steps - warmup_steps)
        return (lr + min_lr) / 2 + (lr - min_lr) / 2 * math.cos(angle)

    return rate
