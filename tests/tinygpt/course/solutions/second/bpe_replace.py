def replace(word, pair, new):
    rest = iter(range(len(word)))
    out = []
    for i in rest:
        if tuple(word[i : i + 2]) == pair:
            next(rest)
            out += [new]
        else:
            out += [word[i]]
    return out
