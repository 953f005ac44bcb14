"""Compile every .c file here once for each instruction set.

setup.py names this script to cffi, which calls `generic` and those of the machine's family; each
describes one extension module, kernels.c._<isa>, made of the same sources under other flags.
Nothing is shared between them, so no AVX-512 instruction can leak into what an old CPU runs. All
are optional: where one does not compile (no gcc, an old gcc, MSVC) the installation goes on.

To work on the C:  python setup.py -q build_ext --inplace
"""

import os
import shlex
import subprocess
import sysconfig
import tempfile
from pathlib import Path

from cffi import FFI

# cffi runs this file from the project's root and not as a module of the package.
FOLDER = Path("kernels/c")

# Contraction of a*b+c into one rounding, and no errno from sqrtf, are all we relax. Never
# -ffast-math: it assumes that -inf (a masked score) cannot occur, and it makes the whole process
# flush denormals.
FLAGS = ["-std=gnu11", "-O3", "-fno-math-errno", "-ffp-contract=fast", "-fvisibility=hidden", "-g0"]
ISA_FLAGS = {
    "generic": ["-DKERNELS_GENERIC"],
    "avx2": ["-mavx2", "-mfma", "-mf16c"],
    "avxvnni": ["-mavx2", "-mfma", "-mf16c", "-mavxvnni"],
    "avx512": ["-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni", "-mfma"],
    "neon": ["-march=armv8-a"],
    "dotprod": ["-march=armv8.2-a+dotprod"],
}


def generic() -> FFI:
    """Any CPU: the compiler's portable vectors, four floats wide."""
    return _module("generic")


def avx2() -> FFI:
    """x86-64 since 2013: eight floats, fused multiply-add."""
    return _module("avx2")


def avxvnni() -> FFI:
    """x86-64 laptops since 2021, also those without AVX-512: AVX2 and products of bytes."""
    return _module("avxvnni")


def avx512() -> FFI:
    """x86-64 servers since 2019, AMD since 2022: sixteen floats, thirty-two registers."""
    return _module("avx512")


def neon() -> FFI:
    """Every 64-bit ARM: four floats, thirty-two registers."""
    return _module("neon")


def dotprod() -> FFI:
    """ARM since 2018, Apple's included: NEON and products of bytes."""
    return _module("dotprod")


def _module(isa: str) -> FFI:
    sources = sorted(path.name for path in FOLDER.glob("*.c") if not path.name.startswith("_"))
    headers = [str(path) for path in FOLDER.glob("*.h")]
    openmp = _openmp_flags()
    ffi = FFI()
    ffi.cdef(_declarations((FOLDER / "kernels.h").read_text()))
    ffi.set_source(
        f"kernels.c._{isa}",
        # One translation unit: every static function may be inlined into every kernel.
        "".join(f'#include "{name}"\n' for name in ["kernels.h", *sources]),
        include_dirs=[str(FOLDER)],
        depends=headers + [str(FOLDER / name) for name in sources],
        extra_compile_args=FLAGS + ISA_FLAGS[isa] + openmp,
        extra_link_args=openmp,
        libraries=["m"] if os.name == "posix" else [],
        optional=True,
    )
    return ffi


def _declarations(header: str) -> str:
    """kernels.h without its preprocessor lines: what cffi can read."""
    return "\n".join(line for line in header.splitlines() if not line.startswith("#"))


def _openmp_flags() -> list[str]:
    """-fopenmp if a program with it compiles and links; without it the kernels use one thread."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "probe.c")
        source.write_text("#include <omp.h>\nint main(void) { return omp_get_max_threads() < 1; }")
        command = [*compiler, "-fopenmp", str(source), "-o", str(Path(folder, "probe"))]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return []
    return ["-fopenmp"]
