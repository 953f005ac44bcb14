"""Asking another process what a learner's file is worth, and understanding how that one ended.

The process has an environment of its own, the NumPy kernels (with C's her function would never be
called), one thread, a folder that is deleted afterwards, and limits: of time, memory and files.

Read next: child.py, what happens there.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinygpt.course.exercise import Exercise

SECONDS = 6.0  # of the processor's time, until the process says in which line it still is
PATIENCE = 90.0  # seconds after which it is ended from here, where it could not say so
PRINTED = 4000  # characters of what her file printed
KEPT = ("PATH", "SYSTEMROOT", "LANG", "LC_ALL", "CC")  # of the environment


@dataclass(frozen=True)
class Verdict:
    """What a file is worth.

    stages: {"stage", "green", "says", "call"} of each that was reached.  mistake, why: the name of
    the mistake, if it has one.  printed: what the file printed.  seconds: how long it took.
    """

    stages: list[dict[str, Any]]
    mistake: str = ""
    why: str = ""
    printed: str = ""
    seconds: float = 0.0

    @property
    def green(self) -> bool:
        return bool(self.stages) and all(stage["green"] for stage in self.stages)

    @property
    def untouched(self) -> bool:
        """Nothing is written yet."""
        return any(stage.get("extra", {}).get("stub") for stage in self.stages)


def grade(exercise: Exercise, path: Path, seed: int = 0, seconds: float = SECONDS) -> Verdict:
    """Grade a file.  seconds: of the processor's time, what its functions may take in all."""
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="tinygpt-learn-") as folder:
        secret = secrets.token_hex(16)
        asked = {
            "secret": secret, "name": exercise.name, "path": str(path.resolve()), "seed": seed,
            "folder": folder, "seconds": seconds,
        }
        said, printed, code = _ask(asked, folder, PATIENCE + 3 * seconds)
    told = _understood(said, secret)
    stages = [one for one in told if "stage" in one]
    name = next((one for one in told if "mistake" in one), {})
    if not any(one.get("done") for one in told) and all(one["green"] for one in stages):
        stages.append(_ending(told, code, printed))
        printed = ""
    return Verdict(
        stages, name.get("mistake", ""), name.get("why", ""), printed[-PRINTED:].rstrip(),
        time.monotonic() - start,
    )


def _ask(asked: dict[str, Any], folder: str, seconds: float) -> tuple[str, str, int | None]:
    """(what it told, what her file printed, its exit code or None if it was ended)."""
    command = [sys.executable, "-s", "-m", "tinygpt.course.child"]
    with open(Path(folder, ".printed"), "w+b") as printed:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=printed, cwd=folder,
            env=_environment(folder),
        )
        code: int | None = None
        try:
            out, _ = process.communicate(json.dumps(asked).encode() + b"\n", seconds)
            code = process.returncode
        except subprocess.TimeoutExpired:
            process.kill()
            out, _ = process.communicate()
        except BaseException:
            process.kill()
            process.wait()
            raise
        printed.seek(0)
        text = printed.read(1 << 20)
    return out.decode(errors="replace"), text.decode(errors="replace"), code


def _environment(folder: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in KEPT if name in os.environ}
    path = os.pathsep.join(str(Path(entry).resolve()) for entry in sys.path if entry)
    one = dict.fromkeys(("TINYGPT_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
                         "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    return {
        **kept, **one, "KERNELS_BACKEND": "numpy", "PYTHONPATH": path, "PYTHONUTF8": "1",
        "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "TMPDIR": folder, "TEMP": folder,
        "HOME": folder,
    }


def _understood(said: str, secret: str) -> list[dict[str, Any]]:
    """The lines that carry the secret; others are of the file's own making."""
    found = []
    for line in said.splitlines():
        try:
            one = json.loads(line)
        except ValueError:
            continue
        if isinstance(one, dict) and one.pop("secret", "") == secret:
            found.append(one)
    return found


def _ending(told: Sequence[dict[str, Any]], code: int | None, printed: str) -> dict[str, Any]:
    """Why a process ended before it was done, as a stage that is not green."""
    stuck = next((one for one in told if one.get("stuck")), None)
    if stuck is not None:
        where = f"in your line {stuck['line']} " if stuck.get("line") else ""
        says = f"After {stuck['seconds']:.0f} seconds it was still {where}running. Does a loop end?"
    elif code is None or code in (-24, -9):  # SIGXCPU, SIGKILL
        says = "It did not end in time, so it was ended. Does a loop end?"
    elif code in (-11, -7, -10, -4, 3221225477):
        says = "It touched memory that is not its own. Look at the ends of its loops."
    elif "MemoryError" in printed:
        says = "It asks for more memory than an exercise may have (2 GB)."
    elif code == 0 or not printed.strip():
        says = "It ended the process (exit?) before it was graded. Leave that line out."
    else:
        says = f"The process ended with code {code}: {printed.strip().splitlines()[-1][:160]}"
    return {"stage": "runs", "green": False, "says": [says], "call": ""}
