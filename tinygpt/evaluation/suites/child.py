"""Running code that a model wrote: in a child process that can do little harm.

    ran(source)        "" if it ran to its end, else what became of it

The child is another Python, isolated from this one's environment and site-packages (-I -S), in an
empty folder of its own. Before anything else it limits itself, for good: processor time, memory,
the size and number of files, and no process may be started by it, where the system has such limits
(not Windows; root may always start processes). It is killed with all its group when its time is
over. It has no secret in its environment, and nothing comes back but its exit code
and the end of what it said.

What this does not do is to hide the file system or the network: Linux namespaces and seccomp need
rights that a student's laptop does not give. So the code is also looked at first: it may import the
standard library's pure parts alone (ALLOWED).

Read next: code.py.
"""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Collection

SECONDS = 5  # of processor time
PATIENCE = 60.0  # seconds by the clock: a busy machine gives a child little of its time
MEMORY = 512 << 20  # bytes
FILE = 1 << 20  # bytes in a file that it writes
SAID = 300  # characters of its last words
LIMITS = """\
try:
    import resource
except ImportError:
    resource = None
for name, value in [("CPU", {seconds}), ("AS", {memory}), ("FSIZE", {file}), ("NOFILE", 32),
                    ("CORE", 0), ("NPROC", 0)] if resource else []:
    resource.setrlimit(getattr(resource, "RLIMIT_" + name), (value, value))
"""
FORBIDDEN = {  # names that lead out of what is allowed
    "__import__", "eval", "exec", "compile", "open", "input", "breakpoint", "globals", "vars",
    "__builtins__", "__subclasses__", "__globals__", "__loader__", "__code__", "exit", "quit",
}


def looked_at(tree: ast.AST, allowed: Collection[str]) -> str:
    """What in the code may not be, "" for nothing."""
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name.split(".")[0] for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [(node.module or "").split(".")[0] if not node.level else "."]
        if outside := [name for name in names if name not in allowed]:
            return f"imports {outside[0]}"
        word = getattr(node, "id", None) or getattr(node, "attr", None)
        if word in FORBIDDEN:
            return f"uses {word}"
    return ""


def ran(source: str, seconds: int = SECONDS, patience: float = PATIENCE) -> str:
    """Run a program; "" if it came to its end with exit code 0, else what became of it."""
    with tempfile.TemporaryDirectory(prefix="tinygpt-child-") as folder:
        limited = LIMITS.format(seconds=seconds, memory=MEMORY, file=FILE) + source
        with subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-"], cwd=folder, env=_environment(),
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            start_new_session=os.name == "posix",
        ) as child:
            try:
                _, said = child.communicate(limited.encode(), timeout=patience)
            except subprocess.TimeoutExpired:
                return f"did not end in {patience:g} s"
            finally:
                _kill(child)
    if child.returncode == 0:
        return ""
    if child.returncode < 0:
        return f"was ended by signal {-child.returncode}"
    lines = said.decode(errors="replace").strip().splitlines()
    return (lines[-1] if lines else f"ended with exit code {child.returncode}")[:SAID]


def _environment() -> dict[str, str]:
    """Nothing of ours, but what Windows needs to start a process."""
    return {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End the child and whatever it has started."""
    if os.name == "posix":
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass  # all of them have ended
    elif child.poll() is None:
        child.kill()
    child.wait()
