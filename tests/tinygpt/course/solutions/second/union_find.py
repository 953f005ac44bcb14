def join(self, i, j):
    def root(k):
        while self.parent[k] != k:
            k = self.parent[k]
        return k

    i, j = root(i), root(j)
    if i < j:
        self.parent[j] = i
    elif j < i:
        self.parent[i] = j
    return bool(i != j)
