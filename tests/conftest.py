"""Shared by all tests: none of them needs a GPU, a network, or files outside the repository.

hypothesis draws the same examples in every run, so that a red suite means a changed program.
Other examples are drawn by

    python -m pytest --hypothesis-profile=soak --hypothesis-seed=N
    python -m bench.soak draws                                           # many such runs
"""

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings

os.environ.setdefault("TINYGPT_THREADS", "2")

settings.register_profile(
    "fixed", derandomize=True, database=None, deadline=None, print_blob=True,
    # A busy machine is slow, and a fixture that chooses a backend serves all examples alike.
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("soak", settings.get_profile("fixed"), derandomize=False)
settings.load_profile("fixed")


def pytest_configure(config):
    config.counted = Counter()  # the calls of each judge of tests/ops


def pytest_sessionfinish(session):
    """A process of several (-n) tells what it counted to the one that sums up."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["counted"] = dict(session.config.counted)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    node.config.counted.update(getattr(node, "workeroutput", {}).get("counted", {}))


def pytest_terminal_summary(terminalreporter, config):
    passed = [report.nodeid for report in terminalreporter.stats.get("passed", [])]
    properties = sum("tests/ops" in name for name in passed)
    if properties:
        from minigrad.testing import REGISTRY

        counted = config.counted
        terminalreporter.write_line(
            f"{len(REGISTRY)} operations, {properties} properties hold, "
            f"{counted['against_differences']:,} checks against finite differences, "
            f"{counted['against_reference']:,} comparisons of backends"
        )
