"""The C extension modules; everything else is in pyproject.toml."""
from pathlib import Path

from setuptools import setup

BUILDERS = ["kernels/c/build.py", "tinygpt/tokenizer/c/build.py"]
# cffi imports each script and calls these names; every extension is optional: no gcc, no error.
MODULES = {
    "kernels/c/build.py": ["generic", "avx2", "avx512"],
    "tinygpt/tokenizer/c/build.py": ["builder"],
}
setup(cffi_modules=[f"{b}:{name}" for b in BUILDERS if Path(b).exists() for name in MODULES[b]])
