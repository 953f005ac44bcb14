"""The learner's function in the place of the real one, for everybody who calls it.

    route = Route("kernels.numpy_ref.softmax", "softmax_forward")
    with route.using(hers):
        minigrad.tensor([1.0, 2.0]).softmax()        # calls hers

The module's own source is executed as ever, but under its name stands a way-post that calls
whichever function is in force: hers, the real one, a mutant. It is put there while the module is
loaded, so `from x import f` anywhere binds the way-post, and nothing has to be imported twice. It
counts its calls: work that never came past it proves nothing about her function.

Read next: outcome.py.
"""

from __future__ import annotations

import functools
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from tinygpt.course import cut

Callee = Callable[..., Any]


class Route:
    """The way to one function of one module, which must not have been imported yet.

    real: the house's own.  calls: how often somebody came by.
    """

    def __init__(self, module: str, function: str):
        if module in sys.modules:
            raise RuntimeError(f"{module} was imported before its function could be replaced")
        self.module, self.function, self.calls = module, function, 0
        self.source = cut.text_of(module, function)
        sys.meta_path.insert(0, _Finder(self))
        self._namespace = importlib.import_module(module).__dict__

    def install(self, loaded: ModuleType) -> None:
        """Put the way-post into a module that was just executed."""
        holder: Any = loaded
        *classes, name = self.function.split(".")
        for one in classes:
            holder = getattr(holder, one)
        self.real = self._chosen = getattr(holder, name)

        def calls(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            return self._chosen(*args, **kwargs)

        setattr(holder, name, functools.update_wrapper(calls, self.real))
        self.way = calls

    @contextmanager
    def using(self, function: Callee) -> Iterator[Callee]:
        """Let `function` answer; yields what is to be called."""
        before, self._chosen = self._chosen, function
        try:
            yield self.way
        finally:
            self._chosen = before

    def load(self, text: str, path: str) -> Callee:
        """The function in the text of a file.  Raises what the file raises, or LookupError."""
        namespace = {"__name__": self.module, "__file__": path}
        exec(compile(text, path, "exec", dont_inherit=True), namespace)
        return _function(namespace, self.function.rpartition(".")[2])

    def mutant(self, text: str) -> Callee:
        """The function of an edited source, with the module's other names around it."""
        namespace = dict(self._namespace)
        head = "from __future__ import annotations\n"
        exec(compile(head + text, "mutant", "exec", dont_inherit=True), namespace)
        return _function(namespace, self.function.rpartition(".")[2])


def _function(namespace: dict[str, Any], name: str) -> Callee:
    found: Callee | None = namespace.get(name)
    if not callable(found):
        raise LookupError(f"it defines no function {name}")
    return found


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Loads one module from its own file, and then puts the way-post in."""

    def __init__(self, route: Route):
        self.route = route

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self.route.module:
            return None
        origin = str(cut.path_of(name))
        return importlib.util.spec_from_file_location(name, origin, loader=self)

    def exec_module(self, module: ModuleType) -> None:
        text, path = cut.file_text(module.__name__), str(cut.path_of(module.__name__))
        exec(compile(text, path, "exec", dont_inherit=True), module.__dict__)
        self.route.install(module)
