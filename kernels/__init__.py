"""Every numeric kernel of the project, three times, behind one table.

`numpy_ref` says what each operation means, `numba_jit` and `c` compute the same faster. The rest of
the house calls `kernels.active.<op>` and never asks which version answers. "auto" starts from the
reference, overlays Numba and then C, so the fastest version that is present wins; anything asked
for by name is either met or an error.

    KERNELS_BACKEND=numpy|numba|c|auto     KERNELS_ISA=generic|avx2|avxvnni|avx512|neon|dotprod|auto

Read next: numpy_ref/softmax.py, then numba_jit/softmax.py and c/softmax.c.
"""

from __future__ import annotations

import importlib
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kernels.threads import explain_threads, get_num_threads, set_num_threads

BACKENDS = ("numpy", "numba", "c")
ISAS = ("generic", "avx2", "avxvnni", "avx512", "neon", "dotprod")  # of C, any CPU's

__all__ = [
    "BACKENDS", "ISAS", "OPS", "active", "get_num_threads", "how_to_get_c", "load", "report",
    "set_num_threads", "use", "using",
]

# The contract: each backend module exports exactly these names.
OPS = (
    "matmul_forward", "matmul_backward",
    "linear_forward", "linear_backward", "activate_forward", "activate_backward",
    "attention_forward", "attention_backward",
    "softmax_forward", "softmax_backward", "softmax_summary",
    "layernorm_forward", "layernorm_backward",
    "rmsnorm_forward", "rmsnorm_backward",
    "gelu_forward", "gelu_backward",
    "cross_entropy_forward", "cross_entropy_backward",
    "linear_cross_entropy_forward", "linear_cross_entropy_gradients",
    "linear_log_probability_forward", "linear_log_probability_backward",
    "embedding_forward", "embedding_backward",
    "dropout_forward", "dropout_backward",
    "adamw_update", "adamw8bit_update", "muon_update", "sum_of_squares",
    "quantize_rows", "matmul_int8",
    "linear_int8_forward", "linear_int4_forward", "linear_nf4_forward",
    "linear_q4_1_forward", "linear_q8_0_forward", "linear_packed_backward",
    "decode_step",
    "shingle_hashes", "minhash_signature",
    "split_words", "repeated_ngrams",
    "byte_ngrams", "byte_ngram_counts", "byte_ngram_logits", "byte_ngrams_known",
)

_MODULES = {"numpy": "kernels.numpy_ref", "numba": "kernels.numba_jit", "c": "kernels.c"}
_INSTALL_NUMBA = "run `pip install numba`"
_FLOAT64 = np.dtype(np.float64)  # two dtypes are compared sooner than a dtype and a type


def how_to_get_c(built: str = "kernels/c/_generic") -> str:
    """What is true of this machine: where the C is, or what is missing to build it.

    built: an extension module, as a path without its ending; the tokenizer asks for its own.
    Python takes the folder that it was started in before what is installed, so in a checkout that
    was not built it finds the source, however well the installation went.
    """
    source = Path(__file__).resolve().parent.parent
    for folder in {Path(entry).resolve() for entry in sys.path} - {source}:
        if any(folder.glob(f"{built}.*")):
            return (
                f"it is in {folder}, but Python found the source in {source} first. Start Python "
                "in another folder, or build it here with `pip install -e .`"
            )
    compilers = [name for name in ("gcc", "clang", "cc", "cl") if shutil.which(name)]
    first = "run" if compilers else "install gcc and run"
    return (
        f"to build it, {first} `pip install --force-reinstall --no-deps .` in the source "
        "(in a checkout that you work in: `pip install -e .`)"
    )


class OpTable:
    """The functions in force, one attribute per name in OPS; filled on first use.

    What each takes and returns is said in numpy_ref, where "go to definition" leads.
    """

    def __getattr__(self, name: str) -> Callable:
        if name in OPS:
            use()
            return self.__dict__[name]
        raise AttributeError(f"kernels.active has no op {name!r}")


if TYPE_CHECKING:  # editors and mypy follow active.softmax_forward to what it means
    from kernels import numpy_ref as active
else:
    active = OpTable()
_chosen: dict[str, str] = {}  # what use() was last asked for: {"backend": ..., "isa": ...}
_origin: dict[str, str] = {}  # op -> backend that answers for it


def load(backend: str) -> Any:
    """Import one backend's module.

    Raises ValueError for an unknown name, RuntimeError if it is not available here.
    """
    if backend not in BACKENDS:
        raise ValueError(f"unknown backend {backend!r}; choose from {', '.join(BACKENDS)} or auto")
    try:
        return importlib.import_module(_MODULES[backend])
    except ImportError as error:
        mend = how_to_get_c() if backend == "c" else _INSTALL_NUMBA
        raise RuntimeError(f"backend {backend!r} is not available ({error}); {mend}") from error


def use(backend: str | None = None, isa: str | None = None) -> None:
    """Choose the backend (and, for C, the instruction set) for the whole process.

    backend: "numpy", "numba", "c" or "auto"; None reads KERNELS_BACKEND, else "auto".
    isa: one of ISAS or "auto"; None reads KERNELS_ISA, else "auto".
    Raises ValueError for an unknown name, RuntimeError for one that cannot run here.
    """
    backend = backend or os.environ.get("KERNELS_BACKEND") or "auto"
    isa = isa or os.environ.get("KERNELS_ISA") or "auto"
    if backend == "auto":
        table, origin = _fastest(isa)
    else:
        module = load(backend)
        if backend == "c":
            module.use_isa(isa)
        missing = [name for name in OPS if not hasattr(module, name)]
        if missing:
            raise RuntimeError(f"backend {backend!r} lacks {', '.join(missing)}; use auto")
        table = {name: getattr(module, name) for name in OPS}
        origin = dict.fromkeys(OPS, backend)
    reference = load("numpy")
    for name, op in table.items():
        setattr(active, name, _by_dtype(op, getattr(reference, name)))
    _origin.update(origin)
    _chosen.update(backend=backend, isa=isa)


def _fastest(isa: str) -> tuple[dict[str, Callable], dict[str, str]]:
    """Reference, overlaid by Numba, overlaid by C; Numba is imported only if C leaves a gap."""
    table: dict[str, Callable] = {}
    origin: dict[str, str] = {}
    for backend in reversed(BACKENDS):
        if len(table) == len(OPS):
            break
        try:
            module = load(backend)
        except RuntimeError:
            if backend == "c" and isa != "auto":
                raise  # an instruction set was asked for by name
            continue
        if backend == "c" and hasattr(module, "use_isa"):
            module.use_isa(isa)
        for name in OPS:
            if name not in table and hasattr(module, name):
                table[name], origin[name] = getattr(module, name), backend
    return table, origin


def _by_dtype(fast: Callable, reference: Callable) -> Callable:
    """Float64 always computes in the reference: it exists for checking, not for speed."""
    if fast is reference:
        return reference

    def op(first, /, *args, **kwargs):
        one = first[0] if type(first) is list and first else first
        if getattr(one, "dtype", None) == _FLOAT64:
            return reference(first, *args, **kwargs)
        return fast(first, *args, **kwargs)

    op.__name__, op.__doc__ = reference.__name__, reference.__doc__
    return op


@contextmanager
def using(backend: str | None = None, isa: str | None = None) -> Iterator[None]:
    """`use` for the length of a with block."""
    before = dict(_chosen)
    use(backend, isa)
    try:
        yield
    finally:
        use(before.get("backend"), before.get("isa"))


def in_use() -> dict[str, Any]:
    """Which backend answers for each op (ops) and the instruction set (isa, None without C).

    Imports nothing that is not in use: Numba alone is 60 MB.
    """
    if not _chosen:
        use()
    c_answers = "c" in _origin.values()
    return {"ops": dict(_origin), "isa": load("c").current_isa() if c_answers else None}


def report() -> dict[str, Any]:
    """What runs and why.

    Keys: backend (as asked for), isa (in use, None without C), ops (op: the backend that answers),
    available (backend: "ready" or why not), isas (instruction set: likewise), threads (what their
    number comes from).
    """
    if not _chosen:
        use()
    available = {}
    for backend in BACKENDS:
        try:
            load(backend)
            available[backend] = "ready"
        except RuntimeError as error:
            available[backend] = str(error)
    c_ready = available["c"] == "ready"
    return {
        "backend": _chosen["backend"],
        **in_use(),
        "available": available,
        "isas": load("c").available_isas() if c_ready else {},
        "threads": explain_threads(),
    }
