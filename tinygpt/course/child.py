"""The other process: it reads a learner's file, puts the function in its place, and grades it.

It is told what to do on standard input and writes one line of JSON for each stage to what was its
standard output, each with a secret that only grade.py and this file's frame know; whatever her file
prints goes elsewhere. So a file that ends the process, or prints "all green", has earned nothing.

It protects from accidents (an endless loop, all memory, a file overwritten), not from malice.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Tell = Callable[[dict[str, Any]], None]
MEMORY = 2 << 30  # bytes of address space
LARGEST_FILE = 16 << 20  # bytes
WAITING = 3
STARTING = 10  # seconds of the processor's time that imports and a compiler may take beside


def limit(seconds: int) -> None:
    """Ask the system to end this process when it takes too much, where it can."""
    try:
        import resource
    except ImportError:  # Windows: the clock of grade.py is left
        return
    for what, most in (
        (resource.RLIMIT_CPU, seconds), (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_FSIZE, LARGEST_FILE), (resource.RLIMIT_CORE, 0),
    ):
        try:
            resource.setrlimit(what, (most, most))
        except (ValueError, OSError):  # macOS knows no RLIMIT_AS; a lower limit is set already
            continue


def guard(folder: str) -> None:
    """Let nothing be written outside of `folder`, no program started, nobody called."""
    inside = os.path.realpath(folder) + os.sep
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    changes = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.truncate", "os.link",
               "os.symlink", "os.chmod", "shutil.rmtree")
    barred = ("subprocess.Popen", "os.system", "os.exec", "os.fork", "os.posix_spawn",
              "socket.connect", "socket.bind", "os.kill")

    def look(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and arguments[2] is not None and arguments[2] & writing:
            path = arguments[0]
        elif event in changes:
            path = arguments[0]
        elif event in barred:
            raise PermissionError(f"an exercise may not do this ({event})")
        else:
            return
        if isinstance(path, int) or path in (os.devnull,):
            return
        if not (os.path.realpath(os.fsdecode(path)) + os.sep).startswith(inside):
            raise PermissionError(f"an exercise may not write to {os.fsdecode(path)}")

    sys.addaudithook(look)


def watch(path: str, seconds: float, tell: Tell) -> None:
    """Say in which line of her file the process still is after so long, and end it.

    seconds: of the processor's time from now on, so that a busy machine is no mistake of hers; who
    waits and computes nothing may do so WAITING times as long.
    """
    main, computed, begun = threading.main_thread().ident, time.process_time(), time.monotonic()

    def end() -> None:
        while (
            time.process_time() - computed < seconds
            and time.monotonic() - begun < WAITING * seconds
        ):
            time.sleep(0.05)
        frame = sys._current_frames().get(main or 0)
        line = None
        while frame is not None:
            if frame.f_code.co_filename == path and line is None:
                line = frame.f_lineno
            frame = frame.f_back
        tell({"stuck": True, "line": line, "seconds": seconds})
        os._exit(1)

    threading.Thread(target=end, daemon=True).start()


def main() -> None:
    """Grade what standard input asks for."""
    asked = json.loads(sys.stdin.readline())
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    secret, lock = asked.pop("secret"), threading.Lock()

    def tell(said: dict[str, Any]) -> None:
        with lock:
            out.write(json.dumps({"secret": secret, **said}) + "\n")
            out.flush()

    limit(int(asked["seconds"]) + STARTING)
    from tinygpt.course import outcome
    from tinygpt.course.exercises import find

    outcome.HERS = asked["path"]
    exercise = find(asked["name"])
    text = Path(asked["path"]).read_text(encoding="utf-8")
    try:
        grade(exercise, text, asked, tell)
        tell({"done": True})
    except MemoryError:
        tell({"stage": "runs", "green": False, "says": ["It asks for more memory than there is."]})
    out.close()


def grade(exercise: Any, text: str, asked: dict[str, Any], tell: Tell) -> None:
    """Tell of each stage, then of the mistake if it has a name."""
    from tinygpt.course import compiling, hunting, predicting, racing, writing

    kinds = {
        "write": writing.grade, "hunt": hunting.grade, "predict": predicting.grade,
        "faster": racing.grade,
    }
    grader = compiling.grade if exercise.in_c else kinds[exercise.kind]

    def begin() -> None:
        """From here on her code may run."""
        watch(asked["path"], asked["seconds"], tell)
        if not exercise.in_c:
            guard(asked["folder"])

    grader(exercise, text, asked, tell, begin)


if __name__ == "__main__":
    main()
