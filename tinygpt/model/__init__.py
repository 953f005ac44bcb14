"""The model: language_model.py says what one can do, gpt.py is one, build.py makes it.

Read in this order: shape.py, gpt.py, block.py, cache.py, language_model.py, build.py.
"""

from tinygpt.model.build import build
from tinygpt.model.cache import KVCache
from tinygpt.model.gpt import GPT
from tinygpt.model.language_model import LanguageModel
from tinygpt.model.shape import ModelShape

__all__ = ["GPT", "KVCache", "LanguageModel", "ModelShape", "build"]
