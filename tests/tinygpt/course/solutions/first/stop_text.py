def overlap(text, stop):
    held = 0
    for n in range(1, len(stop)):
        if len(text) >= n and text[len(text) - n :] == stop[:n]:
            held = n
    return held
