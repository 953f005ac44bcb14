"""Every rung computes the op, and the chart is a well-formed picture of it."""

import importlib
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from bench.ladder.chart import draw
from bench.ladder.runner import NAMES, Result, Rung, table


def ladder(name):
    return importlib.import_module(f"bench.ladder.{name}").LADDER


@pytest.mark.parametrize("name", NAMES)
def test_every_rung_computes_the_op(name):
    import kernels

    steps = ladder(name)
    arrays = steps.inputs(33, np.random.default_rng(3))  # no multiple of a tile or a vector
    exact = steps.reference(*(array.astype(np.float64) for array in arrays))
    rungs = steps.rungs()
    assert len({rung.name for rung in rungs}) == len(rungs) >= 4
    try:
        for rung in rungs:
            if rung.isa:
                kernels.load("c").use_isa(rung.isa)
            found = np.asarray(rung.compute(*arrays))
            np.testing.assert_allclose(found, exact, rtol=2e-5, atol=2e-5, err_msg=rung.name)
    finally:
        kernels.use()


@pytest.mark.parametrize("name", NAMES)
def test_reference_is_the_naive_definition(name):
    steps = ladder(name)
    arrays = [array.astype(np.float64) for array in steps.inputs(9, np.random.default_rng(4))]
    np.testing.assert_allclose(steps.rungs()[0].compute(*arrays), steps.reference(*arrays))


def test_table_and_chart_show_every_rung():
    steps = ladder("matmul")
    rungs = [Rung("slow <a>", "the definition", None, 8), Rung("fast", "C & vectors", None, 8)]
    results = [Result(rung, 10.0**i, 200.0, 1e-7) for i, rung in enumerate(rungs)]
    lines = table(steps, results).splitlines()
    assert len(lines) == 3 and "10.0x" in lines[2] and "5.00% of roofline" in lines[2]
    root = ET.fromstring(draw(steps, results))
    texts = [element.text for element in root.iter() if element.text]
    assert "slow <a>" in texts and "C & vectors" in texts and "roofline 200" in texts
