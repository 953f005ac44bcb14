"""What a foreign suite said about us, as a pytest plugin that an adapter inherits.

An adapter puts a module of the foreign name into sys.modules, made of minigrad, and foreign tests
run unchanged. Where their tests hold dozens of comparisons each, the adapter replaces the function
that compares, so that one operation we have not does not hide the forty that follow.

A comparison is right, wrong, or unsupported: an operation, argument or dtype that minigrad refuses
with AttributeError, TypeError, NotImplementedError or ValueError before there was a value. A wrong
value or gradient is an AssertionError and nothing else is. A stub is a foreign test that was never
written.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import settings

REFUSALS = (AttributeError, TypeError, NotImplementedError, ValueError, KeyError, IndexError,
            ImportError)
# RuntimeErrors before a comparison: a graph where they need none asked for, dtypes of theirs.
THEIRS = ("requires no grad", "Could not infer dtype")
STUB = "Need to implement for Task"

settings.register_profile("foreign", deadline=None, database=None)
settings.load_profile("foreign")

counts: Counter[str] = Counter()
unsupported: Counter[str] = Counter()
wrong: list[str] = []
running = {"test": ""}


def refused(error: BaseException) -> None:
    """Count an operation that we have not."""
    counts["unsupported"] += 1
    unsupported[f"{type(error).__name__}: {str(error).splitlines()[0][:100]}" if str(error)
                else type(error).__name__] += 1


def differs(error: BaseException) -> None:
    """Count a wrong value or gradient."""
    counts["wrong"] += 1
    wrong.append(f"{running['test']}: {str(error).strip()[:600]}")


def pytest_runtest_setup(item) -> None:
    running["test"] = item.nodeid


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if call.when == "teardown" or (call.when == "setup" and report.passed):
        return
    if report.outcome in ("passed", "skipped"):  # an expected failure is a "skipped" with wasxfail
        counts["tests skipped" if report.skipped and not hasattr(report, "wasxfail")
               else "tests passed"] += 1
        return
    error = call.excinfo.value
    if STUB in str(error):
        counts["tests that are stubs"] += 1
    elif isinstance(error, REFUSALS) or any(words in str(error) for words in THEIRS):
        counts["tests unsupported"] += 1
        unsupported[f"{item.name}: {type(error).__name__}: {str(error)[:80]}"] += 1
    else:
        counts["tests failed"] += 1
        wrong.append(f"{item.nodeid}: {type(error).__name__}: {str(error).strip()[:600]}")


def pytest_sessionfinish() -> None:
    found = {"counts": counts, "unsupported": unsupported, "wrong": wrong}
    if path := os.environ.get("FOREIGN_TALLY"):
        Path(path).write_text(json.dumps(found), encoding="utf-8")
