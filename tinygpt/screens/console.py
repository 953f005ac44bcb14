"""How anything reaches a terminal: one console, one progress line, one writer of a model's text.

What is printed is data (paths, samples, texts of users), so a console here knows no markup: "[red]"
is five characters, ":smile:" is seven, and a control character is shown and not obeyed. On a
terminal text is broken between words; in a pipe or a file a line stays a line.

Results go to standard output, progress to standard error, so that a pipe carries results alone.

Read next: live.py, the view of a training.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.live import Live
from rich.text import Text

from tinygpt.machine.terminal import visible

PATIENCE = 2.0  # seconds before a reader of lines is told what takes its time
NARROW = 40  # columns: what is redrawn in place is no wider, so a resized terminal cannot break it


class Screen(Console):
    """A console for data: strings are printed as they are, `Text` with its style.

    It survives a reader who leaves (a closed pipe): what runs goes on without it.
    """

    def __init__(self, *, stderr: bool = False, **settings: Any):
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False, **settings)
        self.soft_wrap = not self.is_terminal

    def say(self, text: str, style: str = "") -> None:
        """Text of anybody's: on a terminal broken between words."""
        self.print(Text(visible(text), style=style))

    def copyable(self, text: str) -> None:
        """A line to be copied, as it is: only the terminal itself may break it."""
        self.print(Text(visible(text)), soft_wrap=True)

    def shell(self, line: str, lead: str = "  ") -> None:
        """A command to be copied, `lead` before it; too long, it goes on after a backslash."""
        rows = [lead]
        for word in re.findall(r"""(?:'[^']*'|"[^"]*"|[^\s'"])+""", line):
            full = cell_len(rows[-1]) + cell_len(word) + 2 > self.width and rows[-1].strip()
            if full and self.is_terminal and os.name != "nt":
                rows[-1] += "\\"
                rows.append("    ")
            rows[-1] += f"{word} "
        self.copyable("\n".join(rows).rstrip())

    def on_broken_pipe(self) -> None:
        """Say nothing more, instead of rich's exit."""
        self.quiet = True
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.file.fileno())  # what is still buffered goes there
        os.close(nowhere)


def warn(text: str) -> None:
    """A warning, on standard error: results in a pipe stay results."""
    Screen(stderr=True).say(text)


def draws(console: Console) -> bool:
    """Can a line be drawn over?  Not in a pipe, not on a dumb terminal."""
    return console.is_terminal and not console.is_dumb_terminal


def plain(console: Console) -> bool:
    """Does it lack the characters that bars and frames are made of?"""
    return console.options.ascii_only


class Progress:
    """One line on standard error while something takes its time.

        with Progress() as say:
            say("reading")                 a turning sign and the seconds gone by
            say("encoding", 3, 10)         a bar as well

    Where no line can be drawn over, what lasts longer than PATIENCE becomes a line of its own.
    """

    def __init__(self, screen: Screen | None = None):
        self.screen = screen or Screen(stderr=True)
        self._text, self._done, self._total = "", 0.0, 0.0
        self._start = time.monotonic()
        self._live: Live | None = None
        self._timer: threading.Timer | None = None

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self._stop()

    def __call__(self, text: str, done: float = 0.0, total: float = 0.0) -> None:
        """What is being done now, and how much of it is done."""
        new, self._text = text != self._text, text
        self._done, self._total = done, total
        if not draws(self.screen):
            if new:
                self._stop()
                self._timer = threading.Timer(PATIENCE, self.screen.say, (f"{text} ...",))
                self._timer.daemon = True
                self._timer.start()
        elif self._live is None:
            self._live = Live(
                console=self.screen, refresh_per_second=8, transient=True,
                get_renderable=self._draw, redirect_stdout=False, redirect_stderr=False,
            )
            self._live.start()

    def counter(self, text: str, total: float | None) -> Callable[[float], None]:
        """A function that hears of so many more, out of `total` (None: nobody knows)."""
        done = 0.0

        def more(count: float) -> None:
            nonlocal done
            done += count
            self(text, done, total or 0.0)

        self(text, 0.0, total or 0.0)
        return more

    def aside(self, show: Callable[[str], object], text: str) -> None:
        """Let `show` print something that stays, where the line of progress is."""
        self._stop()
        show(text)

    def _stop(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _draw(self) -> Text:
        gone = time.monotonic() - self._start
        signs = "-\\|/" if plain(self.screen) else "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
        share = f" {self._done / self._total:4.0%}" if self._total else ""
        end = f"{share} {gone:3.0f} s"
        room = max(1, min(NARROW, self.screen.width) - 3 - cell_len(end))
        text = Text(visible(self._text), no_wrap=True)
        text.truncate(room, overflow="crop" if plain(self.screen) else "ellipsis")
        line = Text.assemble((signs[int(8 * gone) % len(signs)], "cyan"), " ", text, (end, "dim"))
        line.no_wrap = True
        return line


class ModelText:
    """Writes what a model says, piece by piece, to standard output.

    On a terminal control characters are shown and lines are broken between words, so the last word
    waits until it is whole. Anything else gets the very characters.

        with ModelText() as write:
            for piece in stream_text(...): write(piece)
    """

    def __init__(self, file: TextIO | None = None):
        self._file = file or sys.stdout
        self._screen = Screen(file=self._file) if self._file.isatty() else None
        self._held, self._column = "", 0

    def __enter__(self) -> ModelText:
        return self

    def __exit__(self, *error: object) -> None:
        self._word(self._held)  # also after Ctrl-C: it was said
        self._held = ""
        self._file.flush()

    def __call__(self, piece: str) -> None:
        if self._screen is None:
            self._file.write(piece)
        else:
            *whole, self._held = re.split(r"(?<=[ \n\t])", self._held + piece)
            for word in whole:
                self._word(word)
        self._file.flush()

    def _word(self, word: str) -> None:
        """Write a word and the one white space that ends it.

        _column runs from 0 to the width, where the line is full.
        """
        if self._screen is None:
            return
        shown, width = visible(word), self._screen.width
        bare = shown.rstrip(" \n\t")
        space, length = shown[len(bare) :], cell_len(bare)
        if bare and self._column and self._column + length > width:
            self._file.write("\n")
            self._column = 0
        self._file.write(bare)
        if self._column + length > width:  # a word longer than a line
            length %= width
        self._column += length
        blanks = {"": 0, " ": 1, "\t": 8 - self._column % 8, "\n": 0}[space]
        if space == "\n":
            self._file.write("\n")
            self._column = 0
        elif self._column + blanks <= width:
            self._file.write(" " * blanks)
            self._column += blanks
        else:
            self._column = width
