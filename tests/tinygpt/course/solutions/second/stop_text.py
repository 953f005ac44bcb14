def overlap(text, stop):
    start = max(len(text) - len(stop) + 1, 0)
    while start < len(text):
        if stop.startswith(text[start:]):
            return len(text) - start
        start += 1
    return 0
