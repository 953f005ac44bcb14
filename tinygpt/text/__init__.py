"""Where text comes from and what of it is held out: corpora, our own stories, the split.

Read in this order: corpus.py, stories/, split.py.
"""

from tinygpt.text.corpus import Corpus, DataError, Document, load_corpus

__all__ = ["Corpus", "DataError", "Document", "load_corpus"]
