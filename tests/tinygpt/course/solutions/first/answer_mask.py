from tinygpt.finetuning.packing import IGNORE


def masked_targets(sample):
    targets = sample.ids[1:].copy()
    targets[~sample.learned[1:]] = IGNORE
    return targets
