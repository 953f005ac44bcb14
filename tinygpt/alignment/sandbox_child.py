"""The process in which a verifier runs (sandbox.py): limits first, then the program.

It imports nothing of the house, and is started by its path.
"""

import contextlib
import json
import os
import re
import runpy
import sys
from typing import Any

SECONDS, BYTES = 30, 1 << 30


def limit() -> None:
    """What the system offers: of time, memory, files, and the network."""
    if hasattr(os, "unshare"):  # Linux, Python 3.12
        with contextlib.suppress(OSError):
            os.unshare(getattr(os, "CLONE_NEWUSER") | getattr(os, "CLONE_NEWNET"))  # noqa: B009
    try:
        import resource
    except ImportError:  # Windows
        return
    for what, most in (("RLIMIT_CPU", SECONDS), ("RLIMIT_AS", BYTES), ("RLIMIT_FSIZE", 0)):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            resource.setrlimit(getattr(resource, what), (most, most))


def judged(asked: dict[str, Any]) -> dict[str, Any]:
    """{"rewards": [...]} of what was asked, or {"error": "..."}."""
    answer = None
    try:
        if "pattern" in asked:
            pattern = re.compile(asked["pattern"])
            return {"rewards": [float(pattern.search(t) is not None) for t in asked["answers"]]}
        reward = runpy.run_path(asked["program"]).get("reward")
        if not callable(reward):
            return {"error": "it has no function reward(prompt, answer, truth)"}
        rewards = []
        for prompt, answer, truth in asked["answers"]:
            value = reward(prompt, answer, truth)
            if not isinstance(value, (int, float)):
                return {"error": f"reward is {value!r}, no number, for the answer {answer[:60]!r}"}
            value = float(value)
            if value != value or value in (float("inf"), float("-inf")):
                return {"error": f"reward is {value}, for the answer {answer[:60]!r}"}
            rewards.append(value)
        return {"rewards": rewards}
    except MemoryError:
        return {"error": "it wants more than 1 GB of memory"}
    except BaseException as error:  # whatever a program may raise, SystemExit too
        where = "" if answer is None else f", for the answer {answer[:60]!r}"
        return {"error": f"{type(error).__name__}: {error}{where}"}


def main() -> None:
    asked = json.loads(sys.stdin.buffer.read())
    reply, sys.stdout = sys.stdout, sys.stderr  # what it prints is nobody's
    limit()
    reply.write(json.dumps(judged(asked)))
    reply.flush()
    os._exit(0)  # not waiting for threads that it may have left


if __name__ == "__main__":
    main()
