"""What an exercise is: a real function, what must hold of it, and how people get it wrong.

Everything here is data; exercises/ fills it in, and no line of a solution is among it. A `Mistake`
is an edit of the real function, so that it changes with it, and an edit whose text is not there any
more is an error that the author's check finds (tests/tinygpt/course/).

Read next: cut.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from tinygpt.course.draw import Draw

Kind = Literal["write", "hunt", "predict", "faster"]
Run = Callable[..., Any]  # (function, *arguments) -> what is compared


@dataclass(frozen=True)
class Mistake:
    """An edit of the real function that is a mistake somebody makes.

    name: a few words, as one would say it: "the maximum is not subtracted".
    why: what it is and how to see it, in a sentence or two.
    edits: (old, new) fragments of the function's source; each old stands there exactly once.
    """

    name: str
    why: str
    edits: tuple[tuple[str, str], ...]


def mistake(name: str, why: str, *edits: str) -> Mistake:
    """A Mistake of old, new, old, new, ..."""
    return Mistake(name, why, tuple(zip(edits[::2], edits[1::2], strict=True)))


@dataclass(frozen=True)
class Holds:
    """A property: a sentence, and whether it holds of a call.

    check: (function, *arguments) -> True, or False for an input that breaks it.
    """

    says: str
    check: Callable[..., bool]


@dataclass(frozen=True)
class Question:
    """Something to say before it is run.

    name: the variable in the file.  truth: computes the answer.  wrong: (another answer, what one
    thought who gives it).  within: how far off a float may be, relative.
    """

    name: str
    asks: str
    truth: Callable[[], Any]
    wrong: tuple[tuple[Any, str], ...] = ()
    within: float = 0.02


def plainly(f: Callable[..., Any], *arguments: Any) -> Any:
    """What most exercises compare: what the function returns."""
    return f(*arguments)


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    name, title: "softmax-gradient", "The gradient of softmax".
    target: "module:function", "module:Class.method", or the same of a path of C; "" to predict.
    chapter: file of docs/.  minutes: an estimate.  after: names of exercises to know first.
    call: draws arguments.  run: what is done with them; the default calls the function.
    shown: the run as a line to be pasted, `f` standing for the function; "" for a plain call.
    holds: properties besides "it gives what the real one gives".
    gradient: draws (a function of Tensors that uses the target, its arguments) for check_grads.
    joins: a piece of real work with the function in it; returns numbers that are compared.
    closeness: relative, of float64; float32 is held to 1e-4.
    mistakes: 6 to 12 hand-made mutants.  equals: edits that change nothing, which a hunter's test
    must accept.  forbids: names that would be the answer.  inputs: how many are drawn.
    about: what the docstring leaves to another place.  begins: a hunt's test's first lines.
    exports, exported: of C: lines behind the file, and the name that is called.
    work: makes the arguments that `faster` is timed on.  goal: how many times as fast.
    """

    name: str
    title: str
    kind: Kind
    target: str
    chapter: str
    minutes: int
    hints: tuple[str, ...]
    after: tuple[str, ...] = ()
    call: Callable[[Draw], tuple[Any, ...]] | None = None
    run: Run = plainly
    shown: str = ""
    holds: tuple[Holds, ...] = ()
    gradient: Callable[[Draw], tuple[Callable[..., Any], list[Any]]] | None = None
    joins: Callable[[], Any] | None = None
    joined: str = ""
    closeness: float = 1e-9
    mistakes: tuple[Mistake, ...] = ()
    equals: tuple[Mistake, ...] = ()
    forbids: tuple[str, ...] = ()
    inputs: int = 60
    questions: tuple[Question, ...] = ()
    work: Callable[[], tuple[Any, ...]] | None = None
    goal: float = 0.0
    begins: str = ""
    about: str = ""
    exports: str = ""
    exported: str = ""

    @property
    def module(self) -> str:
        return self.target.partition(":")[0]

    @property
    def function(self) -> str:
        """"f", or "Class.method"."""
        return self.target.partition(":")[2]

    @property
    def short(self) -> str:
        """The function's own name."""
        return self.function.rpartition(".")[2]

    @property
    def in_c(self) -> bool:
        return self.module.endswith((".c", ".h"))

    @property
    def file(self) -> str:
        """Its name in the learner's folder; it depends on nothing that another version changes."""
        return self.name.replace("-", "_") + (".c" if self.in_c else ".py")
