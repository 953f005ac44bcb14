"""Any folder in, clean text out: what a model learns is decided here.

    curate(folder, out)   makes a corpus that one can trust, and an account of what was left behind

Read in this order: pipeline.py (the stages), source.py, readers/, encoding.py, clean.py, rules/,
exact.py, near.py, split.py, account.py.
"""

from tinygpt.curation.account import Account
from tinygpt.curation.pipeline import curate

__all__ = ["Account", "curate"]
