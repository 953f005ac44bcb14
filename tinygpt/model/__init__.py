"""The model: gpt.py is the whole, block.py one layer, kv_cache.py what generation remembers."""

from tinygpt.config import GPTConfig
from tinygpt.model.gpt import GPT
from tinygpt.model.kv_cache import KVCache

__all__ = ["GPT", "GPTConfig", "KVCache"]
