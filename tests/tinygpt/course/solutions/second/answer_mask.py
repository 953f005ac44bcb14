import numpy as np

from tinygpt.finetuning.packing import IGNORE


def masked_targets(sample):
    said = zip(sample.ids.tolist(), sample.learned.tolist(), strict=True)
    return np.array([t if wanted else IGNORE for t, wanted in said][1:], np.int64)
