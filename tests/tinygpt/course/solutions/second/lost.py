import numpy as np


def lost(points, start):
    above = np.array([point.gold for point in points]) - start
    at = int(above.argmax())
    share = float((above[at] - above[-1]) / above[at]) if above[at] > 0 else float("nan")
    return points[at].kl, share
