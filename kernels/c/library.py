"""Which of the compiled modules answers, and how arrays reach it.

`lib` holds the C functions of the instruction set in force. Other files use it as `library.lib.f`,
never `from library import lib`: use_isa replaces it while the program runs.
"""

from __future__ import annotations

import importlib
import threading
from typing import Any

import numpy as np

from kernels import ISAS, memory, threads


def _load_generic() -> Any:
    """The module that runs on any CPU.  Raises ModuleNotFoundError if build.py did not make it."""
    name = "kernels.c._generic"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ModuleNotFoundError("the C extension was not built", name=name) from None


_generic = _load_generic()
ffi: Any = _generic.ffi
lib: Any = None
_isa = ""

_local = threading.local()
_FLOATS = ffi.typeof("float[]")
INT64_POINTER: Any = ffi.typeof("int64_t[]")
_REBUILD = "rebuild it with gcc 9 or newer: `pip install --force-reinstall --no-deps .`"


def available_isas() -> dict[str, str]:
    """Each instruction set of this family of CPUs -> "ready", or the reason why it cannot run here.

    From the slowest to the fastest.
    """
    return {isa: _load(isa)[1] for isa in _family()}


def _family() -> list[str]:
    return ffi.string(_generic.lib.cpu_isas()).decode().split()


def _load(isa: str) -> tuple[Any, str]:
    """(module, "ready"), or (None, reason).  A CPU that lacks the set never imports its module."""
    if not _generic.lib.cpu_can_run(isa.encode()):
        return None, f"this CPU or its operating system does not support {isa}"
    try:
        return importlib.import_module(f"kernels.c._{isa}"), "ready"
    except ImportError as error:
        return None, f"the {isa} extension is not built ({error}); {_REBUILD}"


def use_isa(isa: str = "auto") -> None:
    """Let every C kernel run on `isa` from now on; "auto" takes the fastest that is ready.

    Raises ValueError for an unknown name, RuntimeError for a set that cannot run here.
    """
    global lib, ffi, _isa
    if isa not in (*ISAS, "auto"):
        raise ValueError(f"unknown instruction set {isa!r}; choose from {', '.join(ISAS)} or auto")
    if isa == "auto":
        isa = next(name for name in reversed(_family()) if _load(name)[0] is not None)
    module, reason = _load(isa)
    if module is None:
        best = ", ".join(name for name in _family() if _load(name)[0] is not None)
        raise RuntimeError(f"KERNELS_ISA={isa}: {reason}. Ready here: {best}; `unset KERNELS_ISA`")
    lib, ffi, _isa = module.lib, module.ffi, isa  # a struct belongs to the ffi of its own module
    lib.set_threads(threads.get_num_threads())


def current_isa() -> str:
    """The instruction set in force."""
    return _isa


def set_threads(count: int) -> None:
    """Called by kernels.threads: the size of the team in the module in force."""
    lib.set_threads(count)


def pointer(array: np.ndarray) -> Any:
    """`float *` to a C-contiguous float32 array, as a contract has found or made it.

    Keep the array alive while C works on it.
    """
    return ffi.from_buffer(_FLOATS, array)


def pointer_or_null(array: np.ndarray | None) -> Any:
    """`pointer`, or NULL for None."""
    return ffi.NULL if array is None else ffi.from_buffer(_FLOATS, array)


def strided_pointer(array: np.ndarray) -> Any:
    """`float *` to the first element of any view; pass its strides to C as well."""
    return pointer(array[(slice(1),) * array.ndim])  # one element is contiguous


def scratch(size: int) -> Any:
    """`float *` to `size` floats of memory.scratch: the calling thread's until its next call.

    Nothing else of C's asks for that memory, so that a pointer to it is made once and kept.
    """
    held = getattr(_local, "scratch", None)
    if held is None or held[0] < size:
        held = _local.scratch = size, pointer(memory.scratch(size))
    return held[1]


def strides(array: np.ndarray) -> tuple[int, ...]:
    """An array's strides in elements, as C wants them."""
    return tuple(step // array.itemsize for step in array.strides)


use_isa("auto")
