"""Text in, batches out: corpora, the split, tokens on disk, batches, baselines.

    from tinygpt.data import BatchLoader, prepare
    data = prepare("stories", "bpe", "run/tokens", vocab_size=1024)
    batches = BatchLoader(data.train, 16, 128, np.random.default_rng(1))
    x, y = next(batches)                                   # (16, 128) each

Read in this order: corpus.py, stories/, split.py, shards.py, prepare.py, loader.py, baselines.py.
"""

from .baselines import Baselines, baselines
from .corpus import Corpus, DataError, Document, load_corpus
from .loader import BatchLoader, evaluation_batches
from .prepare import Dataset, open_dataset, prepare
from .shards import Tokens

__all__ = [
    "Baselines",
    "BatchLoader",
    "Corpus",
    "DataError",
    "Dataset",
    "Document",
    "Tokens",
    "baselines",
    "evaluation_batches",
    "load_corpus",
    "open_dataset",
    "prepare",
]
