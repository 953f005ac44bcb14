"""The model: gpt.py is the whole, block.py one layer, kv_cache.py what generation remembers."""

from tinygpt.config import GPTConfig
from tinygpt.model.cache import KVCache
from tinygpt.model.gpt import GPT

__all__ = ["GPT", "GPTConfig", "KVCache"]
