def optimal(self, operations):
    a, b, whole = self.size_power, self.data_power, self.size_power + self.data_power
    tokens = (b * self.data / (a * self.size)) ** (1 / whole) * (operations / 6) ** (a / whole)
    return operations / 6 / tokens, tokens
