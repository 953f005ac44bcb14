"""A path as somebody typed it: where it leads, what is there, and how it is printed.

A shell expands "~" at the beginning of a word only, so `--out=~/run` arrives as it was typed; and
names of files are bytes, not always UTF-8. Every command takes its paths through here.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from tinygpt.errors import UserError
from tinygpt.machine.terminal import visible

Given = str | os.PathLike[str]


class PathError(UserError, ValueError):
    """A path that cannot be what it was given for: nothing there, or something else."""

    exit_code = 2


def expand(given: Given) -> str:
    """The path with "~" as the home folder.  Raises PathError for an empty one.

    An empty path would be the current folder to pathlib: not what `--data "$FILE"` meant.
    """
    text = os.fspath(given)
    if not text or "\0" in text:
        raise PathError(f"{text!r} is not a path. Name a file or a folder.")
    return os.path.expanduser(text)


def shown(path: Given) -> str:
    r"""A path as one line that any terminal, log and page can hold: odd bytes as \xe9 or \x1b."""
    return visible(os.fspath(path)).replace("\n", "\\n")


def kind(path: Given) -> str:
    """What is there: "file", "folder", "pipe", "device", "socket", or "" for nothing.

    Links are followed.  Raises PathError for a link that leads nowhere or in a circle, and where
    the way there is barred.
    """
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError):
        if os.path.islink(path):
            target = shown(os.readlink(path))
            raise PathError(
                f"{shown(path)} is a link to {target}, where nothing is. Mend or remove it."
            ) from None
        return ""
    except OSError as error:  # a circle of links, a folder that may not be entered, a name too long
        raise PathError(f"cannot open {shown(path)}: {error.strerror}. Check the path.") from None
    tests = (
        ("file", stat.S_ISREG), ("folder", stat.S_ISDIR), ("pipe", stat.S_ISFIFO),
        ("socket", stat.S_ISSOCK),
    )
    return next((name for name, holds in tests if holds(mode)), "device")


def check_folder(path: Given) -> None:
    """Raise PathError where no folder is nor can be made, because a file is in the way."""
    where = Path(path).absolute()
    # Asked once: what is there may go meanwhile, as the folder of a training that gives way does.
    there, what = next((p, found) for p in (where, *where.parents) if (found := kind(p)))
    if what != "folder":
        raise PathError(
            f"{shown(there)} is a {what}, and {shown(path)} is to be a folder. Choose another name."
        )
