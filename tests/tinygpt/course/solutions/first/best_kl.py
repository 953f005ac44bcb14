import math


def kl_of_best(n):
    return math.log(n) + 1 / n - 1
