import numpy as np


def _lines(name, text, nats, ends, blocks, documents):
    count = max(1, round(blocks / documents)) if blocks > 1 else 1
    edges = [int(np.round(len(text) * i / count)) for i in range(count + 1)]
    done, token = 0, 0
    for number in range(count):
        piece = text[edges[number] : edges[number + 1]]
        done += len(piece.encode())
        first = token
        while token < len(ends) and (number == count - 1 or round(float(ends[token])) <= done):
            token += 1
        yield {
            "item": f"{name}, block {number + 1}" if count > 1 else name,
            "bytes": len(piece.encode()), "words": len(piece.split()), "tokens": token - first,
            "nats": float(sum(nats[first:token])),
        }
