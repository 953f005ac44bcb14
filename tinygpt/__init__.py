"""A language model end to end: `tinygpt --help` from a shell, `tinygpt.open` from Python.

The functions of library.py stand here too; they are imported when they are first asked for, so that
the command line starts at once.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinygpt.library import Opened, inspect, open, train

__all__ = ["Opened", "inspect", "open", "train"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'tinygpt' has no attribute {name!r}")
    from tinygpt import library

    return getattr(library, name)
