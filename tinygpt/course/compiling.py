"""Grading a function in C: her text stands in the place of the real one in its own file.

The file is compiled for any CPU (KERNELS_GENERIC: vectors of four floats), real, hers and mutants
alike, each into a shared object, and called with arrays that have a margin on each side: what
writes into a margin is found out, and what reads there reads nan.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import subprocess
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from tinygpt.course import cut
from tinygpt.course.exercise import Exercise
from tinygpt.course.stages import Paper, Stage, named, stages
from tinygpt.course.writing import Tell, said

FLAGS = ["-std=gnu11", "-fno-math-errno", "-ffp-contract=fast", "-DKERNELS_GENERIC",
         "-Wno-unknown-pragmas", "-w", "-fPIC", "-shared"]
MARGIN = 64  # floats on each side of an array
UNTOUCHED = np.float32(-7.5)  # what a margin that may not be written to is filled with
NO_COMPILER = (
    "There is no C compiler here. Install one (Debian: apt install gcc), or leave this exercise "
    "for another machine: none builds on it."
)


class CompileError(Exception):
    """What the compiler said, its first lines."""


class CRoute:
    """As route.Route, for a function in a file of C."""

    def __init__(self, exercise: Exercise, folder: str):
        self.exercise, self.folder, self.calls = exercise, Path(folder), 0
        self.module, self.function = exercise.module, exercise.function
        self.source = cut.text_of(exercise.module, exercise.function)
        self._made = 0

    @cached_property
    def real(self) -> Callable[..., Any]:
        return self.mutant(self.source)

    @contextmanager
    def using(self, function: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
        yield function

    def load(self, text: str, path: str) -> Callable[..., Any]:
        """Her function.  Raises CompileError, or LookupError where the file has none."""
        cut.c_places(text, self.function)
        return self.mutant(f'\n#line 1 "{Path(path).name}"\n{text}\n#line 1 "{self.module}"\n')

    def mutant(self, text: str) -> Callable[..., Any]:
        """The function of a text in the place of the real one.  Raises CompileError."""
        whole = cut.file_text(self.module)
        start, _, end = cut.c_places(whole, self.function)
        self._made += 1
        source = self.folder / f"answer{self._made}.c"
        source.write_text(
            f"{whole[:start]}{text}{whole[end:]}\n{self.exercise.exports}\n", encoding="utf-8"
        )
        library = source.with_suffix(".so")
        include = cut.path_of(self.module).parent
        speed = "-O3" if self.exercise.kind == "faster" else "-O1"
        files = [f"-I{include}", str(source), "-o", str(library), "-lm"]
        command = [*compiler(), *FLAGS, speed, *files]
        done = subprocess.run(command, capture_output=True, text=True, cwd=self.folder)
        if done.returncode:
            errors = [line for line in done.stderr.splitlines() if "error" in line]
            raise CompileError("\n".join((errors or done.stderr.splitlines())[:3]))
        return ctypes.CDLL(str(library))[self.exercise.exported]


def compiler() -> list[str]:
    """The command of a C compiler, [] if there is none."""
    configured = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")
    for command in (configured, ["gcc"], ["clang"], ["cc"]):
        if command and shutil.which(command[0]):
            return command
    return []


class Margined:
    """An array of float32 with a margin on each side.

    pointer: of its first number.  `intact` is whether nobody wrote into the margins.
    """

    def __init__(self, array: np.ndarray, margin: float = np.nan):
        self.shape, self.fill = array.shape, np.float32(margin)
        self.whole = np.full(array.size + 2 * MARGIN, self.fill, np.float32)
        self.inner[...] = array
        self.pointer = ctypes.c_void_p(self.whole.ctypes.data + 4 * MARGIN)

    @property
    def inner(self) -> np.ndarray:
        return self.whole[MARGIN : len(self.whole) - MARGIN].reshape(self.shape)

    @property
    def intact(self) -> bool:
        edges = np.concatenate([self.whole[:MARGIN], self.whole[-MARGIN:]])
        return bool(np.array_equal(edges, np.full_like(edges, self.fill), equal_nan=True))


def empty(shape: tuple[int, ...]) -> Margined:
    """An array to be filled; 1e9 is in it."""
    return Margined(np.full(shape, 1e9, np.float32), UNTOUCHED)


def grade(
    exercise: Exercise, text: str, asked: dict[str, Any], tell: Tell, begin: Callable[[], None]
) -> None:
    """Grade a file of C."""
    if not compiler():
        tell(said(Stage("compiles", False, (NO_COMPILER,))))
        return
    if "/* write this */" in text:
        tell(said(Stage("runs", False, ("It is still to be written.",), extra={"stub": True})))
        return
    route = CRoute(exercise, asked["folder"])
    try:
        f = route.load(text, asked["path"])
    except CompileError as error:
        tell(said(Stage("compiles", False, tuple(str(error).splitlines()))))
        return
    except LookupError:
        says = f"It has no whole function {exercise.function}: is a brace missing?"
        tell(said(Stage("compiles", False, (says,))))
        return
    tell(said(Stage("compiles", True)))
    begin()
    paper = Paper(exercise, route, asked.get("seed", 0))
    for stage in stages(paper, f):
        tell(said(stage))
        if not stage.green:
            mistake = named(paper, f)
            if mistake is not None:
                tell({"mistake": mistake.name, "why": mistake.why})
            return
    if exercise.kind == "faster":
        from tinygpt.course.racing import faster

        tell(said(faster(paper, f)))
