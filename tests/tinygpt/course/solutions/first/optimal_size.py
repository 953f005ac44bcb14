import math


def optimal(self, operations):
    a, b, pairs = self.size_power, self.data_power, operations / 6
    logarithm = math.log(a * self.size) - math.log(b * self.data) + b * math.log(pairs)
    parameters = math.exp(logarithm / (a + b))
    return parameters, pairs / parameters
