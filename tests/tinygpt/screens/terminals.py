"""A real terminal for tests: a program on a pty whose output goes through pyte, an emulator."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time

import pyte

ENVIRONMENT = {"TERM": "xterm-256color", "PYTHONUTF8": "1"}
DEAF = ("NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES", "TMUX")  # of whoever runs the tests


def environment(**changes):
    """The environment of a child, without what would change how it draws."""
    kept = {name: value for name, value in os.environ.items() if name not in DEAF}
    return {**kept, **ENVIRONMENT, **changes}


class Terminal:
    """`python ARGUMENTS` on a terminal of columns x rows.

    pipe: "stdout" to read that one through a pipe instead (`piped` holds it then).
    """

    def __init__(self, *arguments, columns=80, rows=24, cwd=None, pipe=None, **changes):
        self.raw, self.piped = b"", b""
        self.screen = pyte.HistoryScreen(columns, rows, history=5000)
        self._stream = pyte.ByteStream(self.screen)
        self.master, slave = pty.openpty()
        self._size(columns, rows)
        self.child = subprocess.Popen(
            [sys.executable, *arguments], stdin=slave, stderr=slave, cwd=cwd,
            stdout=subprocess.PIPE if pipe else slave, env=environment(**changes),
            start_new_session=True,
        )
        os.close(slave)

    def _size(self, columns, rows):
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def resize(self, columns, rows=24):
        """Another window size, and the signal that a terminal sends with it."""
        self._size(columns, rows)
        self.screen.resize(rows, columns)
        os.kill(self.child.pid, signal.SIGWINCH)

    def until(self, text, seconds=60.0):
        """Read until `text` stands on the screen."""
        end = time.monotonic() + seconds
        while text not in self.text():
            assert time.monotonic() < end and self._read(0.1), f"no {text!r} in:\n{self.text()}"

    def finish(self):
        """Read to the end.  Returns the exit code."""
        while self._read(0.2):
            pass
        if self.child.stdout:
            with self.child.stdout as pipe:
                self.piped = pipe.read()
        os.close(self.master)
        return self.child.wait()

    def _read(self, seconds):
        if select.select([self.master], [], [], seconds)[0]:
            try:
                data = os.read(self.master, 1 << 16)
            except OSError:  # the last who had the terminal open is gone
                return False
            self.raw += data
            self._stream.feed(data)
        return True

    def lines(self):
        """What scrolled away and what is to be seen, a text for each row."""
        history = [
            "".join(row[i].data for i in range(self.screen.columns))
            for row in self.screen.history.top
        ]
        return [line.rstrip() for line in [*history, *self.screen.display]]

    def text(self):
        """The same in one piece."""
        return "\n".join(self.lines())
