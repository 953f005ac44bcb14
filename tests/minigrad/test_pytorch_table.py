"""Every row of docs/pytorch.md does what it says, and what works gives PyTorch's numbers."""

import pytest

from tests.minigrad.pytorch_table import close, names, recorded, rows, run

ROWS = rows()
WORKS = [row.typed for row in ROWS if row.answer == "works"]
OTHERS = [row for row in ROWS if row.answer != "works"]


def test_the_page_has_its_rows_and_pytorch_answered_each_that_works():
    assert len(ROWS) >= 300 and len({row.typed for row in ROWS}) == len(ROWS)
    assert set(recorded()) == set(WORKS)


@pytest.mark.parametrize("typed", WORKS)
def test_what_works_gives_what_pytorch_recorded(typed):
    assert close(run(typed, "minigrad"), recorded()[typed])


@pytest.mark.parametrize("row", OTHERS, ids=lambda row: row.typed)
def test_what_differs_says_what_to_write_and_that_runs(row, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert row.instead
    run(row.instead, "minigrad")
    if row.answer == "refused":
        with pytest.raises((TypeError, ValueError, RuntimeError, AttributeError)):
            run(row.typed, "minigrad")
    else:
        run(row.typed, "minigrad")


@pytest.mark.filterwarnings("ignore")  # torch's own, about versions and scalars
def test_pytorch_still_answers_as_recorded():
    pytest.importorskip("torch")
    wrong = [typed for typed in WORKS if not close(run(typed, "torch"), recorded()[typed])]
    assert not wrong


def test_the_comparison_notices_a_wrong_value_dtype_gradient_and_shape():
    right = run("x * y", "minigrad")
    for other in ("x * y * 1.001", "x.double() * y.double()", "x.detach() * y", "(x * y)[0]"):
        assert not close(run(other, "minigrad"), right)
    assert names("minigrad")["x"].requires_grad
