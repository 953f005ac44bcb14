import numpy as np

from tinygpt.alignment.best_of_n import Point


def tilted(proxy, gold, beta):
    x = (proxy - proxy.max()) / beta
    log_z = np.log(np.exp(x).sum())
    share = np.exp(x - log_z)
    kl = np.log(len(x)) + float(share @ x) - log_z
    return Point(float(kl), float(share @ proxy), float(share @ gold))
