"""Compile the C of this folder into tinygpt.tokenizer.c._tokenizer.

setup.py names this script to cffi. Plain C without intrinsics: one module runs on every CPU. It is
optional: where it does not compile, the tokenizer works in Python, some fifty times slower.

To work on the C:  python setup.py -q build_ext --inplace
"""

from pathlib import Path

from cffi import FFI

FOLDER = Path("tinygpt/tokenizer/c")  # cffi runs this file from the project's root
SOURCES = ("scan.c", "words.c", "train.c", "tape.c", "encode.c", "unigram.c")


def builder() -> FFI:
    """The extension module: the signatures of tokenizer.h, all sources as one unit."""
    header = (FOLDER / "tokenizer.h").read_text()
    begin, end = "/* ---- cffi reads from here ---- */", "/* ---- to here ---- */"
    ffi = FFI()
    ffi.cdef(header.split(begin)[1].split(end)[0])
    ffi.set_source(
        "tinygpt.tokenizer.c._tokenizer",
        "".join(f'#include "{name}"\n' for name in SOURCES),
        include_dirs=[str(FOLDER)],
        depends=[str(path) for path in sorted(FOLDER.glob("*.[ch]")) if path.name[0] != "_"],
        extra_compile_args=["-std=gnu11", "-O3", "-fvisibility=hidden", "-g0"],
        optional=True,
    )
    return ffi
