def join(self, i, j):
    a, b = sorted((self.find(i), self.find(j)))
    if a == b:
        return False
    self.parent[b] = a
    return True
