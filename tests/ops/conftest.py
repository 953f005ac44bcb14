"""Counts what tests/ops did, and says so at the end of the run."""

from collections import Counter

import pytest

from minigrad.testing import REGISTRY, certify

COUNTED = {
    "against_differences": "checks against finite differences",
    "against_reference": "comparisons of backends",
}
done: Counter = Counter()
properties: set[str] = set()


@pytest.fixture(autouse=True, scope="session")
def count_examples():
    """Count the calls of the two judges that every test goes through."""
    patch = pytest.MonkeyPatch()
    for name in COUNTED:
        original = getattr(certify, name)

        def counting(*args, original=original, name=name, **kwargs):
            done[name] += 1
            return original(*args, **kwargs)

        patch.setattr(certify, name, counting)
    yield
    patch.undo()


def pytest_runtest_logreport(report):
    if report.when == "call" and report.passed and "tests/ops" in report.nodeid:
        properties.add(report.nodeid)


def pytest_terminal_summary(terminalreporter):
    examples = ", ".join(f"{done[name]:,} {words}" for name, words in COUNTED.items())
    terminalreporter.write_line(
        f"{len(REGISTRY)} operations, {len(properties)} properties hold, {examples}"
    )
