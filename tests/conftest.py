"""Shared by all tests: none of them needs a GPU, a network, or files outside the repository.

hypothesis draws the same examples in every run, so that a red suite means a changed program.
Other examples are drawn by

    python -m pytest --hypothesis-profile=soak --hypothesis-seed=N
    python -m bench.soak draws                                           # many such runs
"""

import os

from hypothesis import HealthCheck, settings

os.environ.setdefault("TINYGPT_THREADS", "2")

settings.register_profile(
    "fixed", derandomize=True, database=None, deadline=None, print_blob=True,
    # A busy machine is slow, and a fixture that chooses a backend serves all examples alike.
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
settings.register_profile("soak", settings.get_profile("fixed"), derandomize=False)
settings.load_profile("fixed")
