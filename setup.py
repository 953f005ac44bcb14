"""The C extension modules; everything else is in pyproject.toml."""

import platform

from setuptools import setup

X86, ARM = ["avx2", "avxvnni", "avx512"], ["neon", "dotprod"]
FAMILIES = {"x86_64": X86, "amd64": X86, "aarch64": ARM, "arm64": ARM}
# cffi runs each script and calls the functions named here, one for each extension module.
MODULES = {
    "kernels/c/build.py": ["generic", *FAMILIES.get(platform.machine().lower(), [])],
    "tinygpt/tokenizer/c/build.py": ["builder"],
}
setup(cffi_modules=[f"{script}:{name}" for script, names in MODULES.items() for name in names])
