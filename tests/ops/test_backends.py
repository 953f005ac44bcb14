"""Every fast version, forward and backward, float32, against the reference in float64."""

import numpy as np
import pytest

from minigrad.testing import REGISTRY, RandomSource, certify

EXAMPLES = 18
FOUND = certify.backends()
WITH_KERNELS = sorted(name for name, op in REGISTRY.items() if op.kernels)


def cases(op):
    """Ordinary examples, then strange ones."""
    for seed in range(EXAMPLES):
        yield op.sample(RandomSource(np.random.default_rng(seed), telling=seed < EXAMPLES // 3))


def need(backend):
    if FOUND.get(backend) != "ready":
        pytest.skip(f"{backend}: {FOUND.get(backend, 'the C extension is not built')}")


@pytest.mark.parametrize("backend", FOUND)
@pytest.mark.parametrize("name", WITH_KERNELS)
def test_agrees_with_the_reference(name, backend):
    op = REGISTRY[name]
    need(backend)
    for case in cases(op):
        error, allowed = certify.against_reference(op, case, backend)
        assert error <= allowed, (error, allowed, case)


PAIRS = [("numpy", "c:generic"), ("c:generic", "numpy"), ("numpy", "numba"), ("numba", "c:avx2"),
         ("c:avx512", "c:generic"), ("c:avx2", "numpy"), ("c:dotprod", "c:generic"),
         ("c:neon", "numpy")]


@pytest.mark.parametrize("forward, backward", PAIRS)
@pytest.mark.parametrize("name", WITH_KERNELS)
def test_what_one_backend_saves_another_can_use(name, forward, backward):
    op = REGISTRY[name]
    need(forward)
    need(backward)
    for case in list(cases(op))[:10]:
        error, allowed = certify.against_reference(op, case, forward, backward)
        assert error <= allowed, (error, allowed, case)
