"""Fixtures for the kernels: `isa` runs a test once for every instruction set this machine has."""

import pytest

ISAS = ("generic", "avx2", "avx512")


@pytest.fixture(params=ISAS)
def isa(request):
    """The name of an instruction set, in force for the length of the test."""
    c = pytest.importorskip("kernels.c", reason="the C extension is not built")
    ready = c.available_isas()[request.param]
    if ready != "ready":
        pytest.skip(ready)
    before = c.current_isa()
    c.use_isa(request.param)
    yield request.param
    c.use_isa(before)


FAST = ("numba", "generic", "avx2", "avx512")


@pytest.fixture(params=FAST)
def fast(request):
    """Each fast version in turn: the Numba module, then the C module on each instruction set."""
    if request.param == "numba":
        yield pytest.importorskip("kernels.numba_jit")
        return
    c = pytest.importorskip("kernels.c", reason="the C extension is not built")
    ready = c.available_isas()[request.param]
    if ready != "ready":
        pytest.skip(ready)
    before = c.current_isa()
    c.use_isa(request.param)
    yield c
    c.use_isa(before)
