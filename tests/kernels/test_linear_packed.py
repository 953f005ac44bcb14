"""linear_packed_backward: every backend and instruction set returns dy times the codes' matrix."""

import importlib

import numpy as np
import pytest
from judge import exact, floats, packed_weight, worst

from kernels import numpy_ref, packing, threads

SCHEMES = packing.SCHEMES


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("rows", [1, 9])
@pytest.mark.parametrize(("n", "k"), [(1, 1), (15, 7), (16, 64), (17, 65), (40, 131)])
def test_dx_is_dy_times_what_the_codes_stand_for(fast, scheme, rows, n, k):
    weight, dy = packed_weight(scheme, n, k), floats(0, 2, rows, n)
    dx = fast.linear_packed_backward(dy, weight)
    assert worst(dx, exact(numpy_ref.linear_packed_backward, dy, weight)) < 1e-6


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("chunk", [16, 23, 48])
def test_a_weight_that_fills_several_chunks(fast, monkeypatch, scheme, chunk):
    file = importlib.import_module(f"{fast.__name__}.linear_packed")
    monkeypatch.setattr(file, "CHUNK", chunk * 70)
    weight, dy = packed_weight(scheme, 93, 70), floats(0, 5, 93)
    dx = fast.linear_packed_backward(dy, weight)
    assert worst(dx, exact(numpy_ref.linear_packed_backward, dy, weight)) < 1e-6


def test_dx_does_not_depend_on_the_number_of_threads(isa, monkeypatch):
    c, file = (importlib.import_module(name) for name in ("kernels.c", "kernels.c.linear_packed"))
    monkeypatch.setattr(file, "CHUNK", 100 * 300)
    weight, dy = packed_weight("nf4", 220, 300), floats(0, 64, 220)
    before, results = threads.get_num_threads(), []
    for count in (1, 3):
        threads.set_num_threads(count)
        results.append(c.linear_packed_backward(dy, weight))
    threads.set_num_threads(before)
    np.testing.assert_array_equal(*results)


def test_no_rows_and_wrong_arguments(fast):
    weight = packed_weight("int4", 17, 40)
    assert fast.linear_packed_backward(floats(0, 0, 3, 17), weight).shape == (0, 3, 40)
    with pytest.raises(ValueError, match=r"dy must have shape \(..., 17\), not \(2, 40\)"):
        fast.linear_packed_backward(floats(0, 2, 40), weight)
    with pytest.raises(TypeError, match="int64"):
        fast.linear_packed_backward(np.zeros((2, 17), np.int64), weight)
