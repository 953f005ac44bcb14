"""Text in, batches out: tokens on disk, batches, baselines.

    from tinygpt.data import BatchLoader, prepare
    data = prepare("stories", "bpe", "run/tokens", vocab_size=1024)
    batches = BatchLoader(data.train, 16, 128, np.random.default_rng(1))
    x, y = next(batches)                                   # (16, 128) each

Read in this order: shards.py, prepare.py, batches.py, baselines.py.
"""

from tinygpt.data.baselines import Baselines, baselines, by_frequency, rare_share
from tinygpt.data.batches import BatchLoader, evaluation_batches
from tinygpt.data.prepare import Dataset, open_dataset, prepare
from tinygpt.data.shards import Tokens

__all__ = [
    "Baselines",
    "BatchLoader",
    "Dataset",
    "Tokens",
    "baselines",
    "by_frequency",
    "evaluation_batches",
    "open_dataset",
    "prepare",
    "rare_share",
]
