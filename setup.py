"""The C extension modules; everything else is in pyproject.toml."""

import platform

from setuptools import setup

x86 = platform.machine().lower() in ("x86_64", "amd64")
# cffi runs each script and calls the functions named here, one for each extension module.
MODULES = {
    "kernels/c/build.py": ["generic", "avx2", "avx512"] if x86 else ["generic"],
    "tinygpt/tokenizer/c/build.py": ["builder"],
}
setup(cffi_modules=[f"{script}:{name}" for script, names in MODULES.items() for name in names])
