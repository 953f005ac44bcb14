"""Somebody's program, or a pattern, that judges answers: in a process of its own, for so long.

It reads what it is to judge as JSON, and answers a list of numbers. It has a folder for itself that
goes away, none of our environment, half a minute of the processor at most and a gigabyte; it opens
no file to write and, where the system lets it, has no network. That is against accidents (a loop,
memory without end, a file written over), not against malice: run no program that you would not run
by yourself.

A fresh process for all answers of a rollout takes some hundredths of a second and remembers
nothing, so that a resumed training gets the same rewards.

Read next: sandbox_child.py, which is that process.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tinygpt.storage.paths import shown
from tinygpt.storage.reading import TEXT, FormatError, Kind, parse_json
from tinygpt.training.trouble import CannotGoOn

CHILD = Path(__file__).with_name("sandbox_child.py")
AGAIN = "Correct it, and go on with --resume."
_REPLY = {"rewards?": [Kind("number", lambda v: type(v) in (int, float))], "error?": TEXT}


def run_program(path: Path, answers: Sequence[tuple[str, str, str]], seconds: float) -> list[float]:
    """What reward(prompt, answer, truth) in a Python file says of each.

    Raises CannotGoOn if it raises, is not done in time, or says something else.
    """
    asked = {"program": str(path.resolve()), "answers": list(answers)}
    return _run(f"the program {shown(path)}", asked, seconds)


def run_pattern(pattern: str, texts: Sequence[str], seconds: float) -> list[float]:
    """1.0 for each text in which a regular expression is found, else 0.0.  Raises CannotGoOn."""
    asked = {"pattern": pattern, "answers": list(texts)}
    return _run(f"the pattern {pattern!r}", asked, seconds)


def _run(name: str, asked: dict[str, Any], seconds: float) -> list[float]:
    with tempfile.TemporaryDirectory() as folder:
        child = subprocess.Popen(
            [sys.executable, "-I", str(CHILD)], cwd=folder, env=_environment(),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            reply, _ = child.communicate(json.dumps(asked).encode(), timeout=seconds)
        except subprocess.TimeoutExpired:
            raise CannotGoOn(
                f"{name} has not judged {len(asked['answers'])} answers in {seconds:g} s. "
                f"Let it end sooner, or set policy.seconds; then go on with --resume."
            ) from None
        finally:
            _end(child)
    try:
        values = parse_json(reply or b"{}", _REPLY)
    except FormatError as error:
        raise CannotGoOn(f"{name} gave what is no list of numbers: it {error}. {AGAIN}") from error
    if "error" in values:
        raise CannotGoOn(f"{name} failed: {values['error']}. {AGAIN}")
    rewards = values.get("rewards", [])
    if len(rewards) != len(asked["answers"]):
        raise CannotGoOn(
            f"{name} ended without judging {len(asked['answers'])} answers (exit code "
            f"{child.returncode}). {AGAIN}"
        )
    return [float(reward) for reward in rewards]


def _environment() -> dict[str, str]:
    """Nothing of ours but what Python needs to start on Windows."""
    return {name: os.environ[name] for name in ("SYSTEMROOT",) if name in os.environ}


def _end(child: subprocess.Popen[bytes]) -> None:
    """End it, and what it has started."""
    try:
        if hasattr(os, "killpg"):
            os.killpg(child.pid, signal.SIGKILL)
        else:
            child.kill()
    except (ProcessLookupError, PermissionError):
        pass  # it is over
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()
