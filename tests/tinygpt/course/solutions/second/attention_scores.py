import math

import numpy as np


def _scores(q, k, causal, scale, first, last, bias):
    B, Tq, H, D = q.shape
    Tk, each = k.shape[1], q.shape[2] // k.shape[2]
    factor = 1 / math.sqrt(D) if scale is None else scale
    out = np.full((B, H, Tq, Tk), -np.inf, q.dtype)
    for b, h, i in np.ndindex(B, H, Tq):
        begin = 0 if first is None else first[b, i]
        end = Tk if last is None else last[b, i]
        if causal:
            end = min(end, i + Tk - Tq + 1)
        for j in range(begin, end):
            out[b, h, i, j] = (q[b, i, h] * k[b, j, h // each]).sum() * q.dtype.type(factor)
            if bias is not None:
                out[b, h, i, j] += bias[h, i + Tk - Tq - j + Tq - 1]
    return out
