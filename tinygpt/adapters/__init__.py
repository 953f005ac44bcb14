"""Methods that teach a model by few parameters: surgery on its modules, a file each.

Read in this order: config.py, adapt.py, targets.py, lora.py, dora.py, ia3.py, bottleneck.py,
prefix.py, prompt.py.
"""

from tinygpt.adapters.adapt import adapt, adapter_state, load_adapter, merge, remove, settle
from tinygpt.adapters.config import MethodConfig

__all__ = ["MethodConfig", "adapt", "adapter_state", "load_adapter", "merge", "remove", "settle"]
