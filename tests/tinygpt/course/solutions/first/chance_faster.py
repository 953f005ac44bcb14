import numpy as np

from tinygpt.evaluation.intervals import LEVEL


def chance(ways):
    count = len(ways)
    size = 1 << max(1, (count - 1).bit_length())
    pieces = np.zeros((size, 2))
    pieces[:, 0] = 1  # an item that is never right changes nothing
    pieces[:count, 1] = ways
    pieces[:count, 0] -= ways
    while len(pieces) > 1:
        length = 2 * pieces.shape[1] - 1
        if length < 40:
            a, b = pieces[::2], pieces[1::2]
            both = np.zeros((len(a), length))
            for at in range(a.shape[1]):
                both[:, at : at + b.shape[1]] += a[:, at : at + 1] * b
        else:
            seen = np.fft.rfft(pieces, 1 << (length - 1).bit_length(), axis=1)
            both = np.fft.irfft(seen[::2] * seen[1::2], axis=1)[:, :length]
        pieces = both
    below = np.cumsum(pieces[0, : count + 1])
    tail = (1 - LEVEL) / 2
    low = int(np.searchsorted(below, tail, side="right"))
    high = min(int(np.searchsorted(below, 1 - tail)), count)
    return low / count, high / count
