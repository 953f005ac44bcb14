import numpy as np


def _lines(name, text, nats, ends, blocks, documents):
    count = max(1, round(blocks / documents))
    if blocks == 1:
        count = 1
    cuts = np.linspace(0, len(text), count + 1).round().astype(int).tolist()
    pieces = [text[a:b] for a, b in zip(cuts[:-1], cuts[1:], strict=True)]
    bytes_ = np.array([len(piece.encode()) for piece in pieces])
    stops = bytes_.cumsum()
    home = (ends[:, None] > stops[None, :-1] + 1e-6).sum(axis=1)
    for i, piece in enumerate(pieces):
        mine = home == i
        label = name if count == 1 else name + ", block " + str(i + 1)
        yield dict(item=label, bytes=int(bytes_[i]), words=len(piece.split()),
                   tokens=int(mine.sum()), nats=float(nats[mine].sum()))
