from tinygpt.storage.safetensors import NAMES


def describe(tensors, bfloat16=()):
    found, at = {}, 0
    for name, array in tensors.items():
        kind = NAMES[array.dtype.name]
        if name in bfloat16:
            kind = "BF16"
        size = array.itemsize * array.size
        found[name] = dict(dtype=kind, shape=list(array.shape), data_offsets=[at, at + size])
        at += size
    return found
