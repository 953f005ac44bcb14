def jaccard(a, b):
    first, second = set(a.tolist()), set(b.tolist())
    either = first | second
    return len(first & second) / len(either) if either else 1.0
