def turns(count, warm, task):
    def at(k):
        ahead = [task(True, k)] if k < count else []
        return ahead + ([task(False, k - warm)] if k >= warm else [])

    return [one for k in range(count + warm) for one in at(k)]
