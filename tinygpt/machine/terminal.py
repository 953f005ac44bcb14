"""What a terminal can be given: characters that do it no harm, and commands that run as printed.

    visible("a\\x1b[2Jb")                     r"a\\x1b[2Jb": shown, not obeyed
    command("diagnose", Path("my run"))      .venv/bin/tinygpt diagnose 'my run'

Read next: ../screens/console.py, which prints.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

# What moves the cursor, changes colours or turns the writing around: the control characters but for
# line feed and tab, the line separators and directions of Unicode, bytes that are no text.
_INVISIBLE = re.compile(
    "\r(?!\n)|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def visible(text: str) -> str:
    r"""Text with every character that a terminal would obey written as Python would write it.

    >>> visible("red: \x1b[31m, bell: \x07, \u0142")
    'red: \\x1b[31m, bell: \\x07, ł'
    """
    return _INVISIBLE.sub(lambda found: _escaped(found[0]), text)


def _escaped(character: str) -> str:
    byte = ord(character) - 0xDC00  # a byte that Python could not read in a name or an argument
    return f"\\x{byte:02x}" if 0x80 <= byte <= 0xFF else character.encode("unicode_escape").decode()


def command(*words: str | Path) -> str:
    """The line that calls this program with `words`, as a shell takes it.

    A Path that begins with a dash is written so that it is not taken for an option.
    """
    plain = [f"./{w}" if isinstance(w, Path) and str(w).startswith("-") else str(w) for w in words]
    return " ".join([_joined(program()), _joined(plain)]).rstrip()


def _joined(words: list[str]) -> str:
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def program() -> list[str]:
    """How this program was called: `tinygpt`, `.venv/bin/tinygpt`, `python -m tinygpt` ...

    Where it was not (a notebook, a script), how it can be.
    """
    called = Path(sys.argv[0])
    if called.name == "__main__.py" and called.parent.name == "tinygpt":
        return sys.orig_argv[: len(sys.orig_argv) - len(sys.argv) + 1]
    found = shutil.which("tinygpt")
    if called.stem == "tinygpt" and called.is_file():
        on_path = found is not None and os.path.samefile(found, called)
        return ["tinygpt"] if on_path else [sys.argv[0]]
    return ["tinygpt"] if found else [sys.executable, "-m", "tinygpt"]
