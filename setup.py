"""The C extension modules, and the book's pages in the wheel; the rest is in pyproject.toml."""

import platform
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

X86, ARM = ["avx2", "avxvnni", "avx512"], ["neon", "dotprod"]
FAMILIES = {"x86_64": X86, "amd64": X86, "aarch64": ARM, "arm64": ARM}
# cffi runs each script and calls the functions named here, one for each extension module.
MODULES = {
    "kernels/c/build.py": ["generic", *FAMILIES.get(platform.machine().lower(), [])],
    "tinygpt/tokenizer/c/build.py": ["builder"],
}


class WithPages(build_py):
    """docs/ goes along as tinygpt/book/pages; an installation in place reads docs/ itself."""

    def run(self):
        super().run()
        if not self.editable_mode:
            for page in sorted([*Path("docs").rglob("*.md"), *Path("docs").rglob("*.svg")]):
                copy = Path(self.build_lib, "tinygpt/book/pages", page.relative_to("docs"))
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(page, copy)


setup(
    cffi_modules=[f"{script}:{name}" for script, names in MODULES.items() for name in names],
    cmdclass={"build_py": WithPages},
)
