"""How the kernels of this folder are compiled, cached and run.

    @parallel   a loop nest called from Python; its prange loops share the process's threads
    @serial     one that stays on the calling thread
    @inline     a function of single elements, called inside the others; LLVM inlines it

All are ordinary Python under NUMBA_DISABLE_JIT=1, where a debugger can step through them.
Compiled code is kept in a per-user folder, else a temporary one, else nowhere: an installation that
cannot be written to still imports and runs, only slower the first time.

Read next: vector_math.py, then softmax.py.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import inspect
import os
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

import numba
from numba import prange

from kernels import threads

__all__ = ["cache_folder", "inline", "parallel", "prange", "serial"]

# Of the fast-math licences only two are taken: `contract` (a*b+c in one rounding) and, where a loop
# sums, `reassoc` (one partial sum a lane). The rest assume that no -inf occurs: masked scores are.
_SUMS = {"contract", "reassoc"}

config: Any = numba.config  # it makes its attributes as it goes
_one_at_a_time = threading.Lock()


def inline(function):
    """Compile a function of single elements; it does its sums in the order they are written."""
    return _njit(function, fastmath={"contract"})


def serial(function):
    """Compile a function of arrays and numbers that runs on the calling thread."""
    return _njit(function, fastmath=_SUMS)


def parallel(function: Any = None, *, reads: str = "", writes: str = "") -> Any:
    """Compile a function of arrays and numbers whose prange loops share the threads.

    reads, writes: names of arrays that may lie in memory in any way. The function is compiled once
    for all ways of these; without, once for each that is met, and a large one takes seconds.

    Two Python threads never run one at once: both would want the same cores, and Numba's simplest
    pool (workqueue) aborts the process when two threads enter it. The number of threads is set
    every time because Numba keeps one number for each Python thread.
    """
    if function is None:
        return functools.partial(parallel, reads=reads, writes=writes)
    compiled = _njit(function, parallel=True, fastmath=_SUMS)
    if config.DISABLE_JIT:
        return compiled
    strided = [(names.split(), names is reads) for names in (reads, writes) if names]

    @functools.wraps(function)
    def run(*args: Any) -> Any:
        with _one_at_a_time:
            if strided and not compiled.signatures:
                compiled.compile(_of_any_layout(function, args, strided))
                compiled.disable_compile()
            numba.set_num_threads(min(threads.get_num_threads(), config.NUMBA_NUM_THREADS))
            return compiled(*args)

    run.compiled = compiled  # type: ignore[attr-defined]  # for its statistics and inspect_types()
    return run


def _of_any_layout(function, args, strided):
    """The types of a call's arguments, those of the `strided` arrays without their layout."""
    types = dict(zip(inspect.signature(function).parameters, map(numba.typeof, args), strict=True))
    for names, readonly in strided:
        for name in names:
            types[name] = types[name].copy(layout="A", readonly=readonly)
    return tuple(types.values())


def cache_folder() -> Path | None:
    """Where compiled kernels are kept: NUMBA_CACHE_DIR, the user's cache, a temporary folder, None.

    Numba notices a kernel whose own file changed, but not one whose helper in another file did;
    so the folder's name carries a digest of all of this folder's sources.
    """
    if os.environ.get("NUMBA_CACHE_DIR"):
        return Path(os.environ["NUMBA_CACHE_DIR"])
    digest = hashlib.sha256(numba.__version__.encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.read_bytes())
    name = f"numba-{digest.hexdigest()[:12]}"
    user = getattr(os, "getuid", lambda: "user")()
    for parent in (_user_cache(), Path(tempfile.gettempdir(), f"tinygpt-{user}")):
        if parent is not None and _is_private_and_writable(parent / name):
            return parent / name
    return None


def _user_cache() -> Path | None:
    try:
        home = Path.home()
    except RuntimeError:  # a user without a home
        return None
    default = {
        "win32": Path(os.environ.get("LOCALAPPDATA", home)),
        "darwin": home / "Library" / "Caches",
    }.get(sys.platform, home / ".cache")
    return Path(os.environ.get("XDG_CACHE_HOME") or default) / "tinygpt"


def _is_private_and_writable(folder: Path) -> bool:
    """Make the folder; False if it cannot be written, or if others could plant code in it."""
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        if hasattr(os, "getuid"):
            for part in (folder.parent, folder):
                status = part.stat()
                if status.st_uid != os.getuid() or status.st_mode & 0o002:
                    return False
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _njit(function, **options):
    """numba.njit with our cache folder; Numba reads the folder's name while it decorates.

    Division by zero gives inf, as in C; other Python threads run on while a kernel does.
    """
    options.update(error_model="numpy", nogil=True)
    if _CACHE is None:
        return numba.njit(function, **options)
    before = config.CACHE_DIR
    config.CACHE_DIR = str(_CACHE)
    try:
        return numba.njit(function, cache=True, **options)
    finally:
        config.CACHE_DIR = before


def _pick_threading_layer() -> None:
    """OpenMP, else TBB, else workqueue: the first that is installed, unless the user named one."""
    if config.THREADING_LAYER != "default":
        return
    for layer, module in (("omp", "omppool"), ("tbb", "tbbpool")):
        try:
            importlib.import_module(f"numba.np.ufunc.{module}")
        except ImportError:
            continue
        config.THREADING_LAYER = layer
        return
    config.THREADING_LAYER = "workqueue"


_CACHE = cache_folder()
_pick_threading_layer()
