"""Fixtures for the kernels: `isa` runs a test once for every instruction set this machine has."""

import pytest

try:
    from kernels.c import available_isas

    ISAS = tuple(available_isas())
except ModuleNotFoundError:  # the C extension was not built: what asks for it is skipped
    ISAS = ("generic",)
FAST = ("numba", *ISAS)


def c_on(isa):
    """Yield the C module with an instruction set in force; skip where that cannot run."""
    c = pytest.importorskip("kernels.c", reason="the C extension is not built")
    ready = c.available_isas()[isa]
    if ready != "ready":
        pytest.skip(ready)
    before = c.current_isa()
    c.use_isa(isa)
    yield c
    c.use_isa(before)


@pytest.fixture(params=ISAS)
def isa(request):
    """The name of an instruction set, in force for the length of the test."""
    for _ in c_on(request.param):
        yield request.param


@pytest.fixture(params=FAST)
def fast(request):
    """Each fast version in turn: the Numba module, then the C module on each instruction set."""
    if request.param == "numba":
        yield pytest.importorskip("kernels.numba_jit")
    else:
        yield from c_on(request.param)
