"""Shared by all tests: none of them needs a GPU, a network, or files outside the repository."""

import os

os.environ.setdefault("TINYGPT_THREADS", "2")
