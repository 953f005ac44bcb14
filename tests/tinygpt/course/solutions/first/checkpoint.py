import itertools

from tinygpt.storage.safetensors import NAMES


def describe(tensors, bfloat16=()):
    ends = list(itertools.accumulate(array.nbytes for array in tensors.values()))
    begins = [0, *ends][: len(ends)]
    return {
        name: {"dtype": "BF16" if name in bfloat16 else NAMES[str(array.dtype)],
               "shape": [int(n) for n in array.shape], "data_offsets": [begin, end]}
        for (name, array), begin, end in zip(tensors.items(), begins, ends, strict=True)
    }
