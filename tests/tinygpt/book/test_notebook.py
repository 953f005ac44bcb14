"""Chapters as notebooks: all of the page is in them, and they run."""

import os
from pathlib import Path

import pytest

from tinygpt.book import notebook, pages

ROOT = Path(__file__).parents[3]
PAGE = """# T

Prose.

```python
>>> a = 1
>>> a + 1
2
>>> b = [
...     a,
... ]
>>> 1 / 0
Traceback (most recent call last):
ZeroDivisionError: division by zero
>>> c = 3

```

More.
"""


def test_a_cell_ends_with_what_it_shows():
    found = notebook.notebook(PAGE)["cells"]
    assert [cell["source"] for cell in found] == [
        "# T\n\nProse.", "a = 1\na + 1", "b = [\n    a,\n]\n1 / 0", "c = 3", "More.",
    ]
    tags = [cell["metadata"].get("tags") for cell in found]
    assert tags == [None, None, ["raises-exception"], None, None]


def test_each_page_with_code_is_written_with_the_figures(tmp_path):
    made = notebook.write(tmp_path)
    assert made == len(list(tmp_path.glob("*.ipynb"))) >= len(pages.chapters())
    assert (tmp_path / "figures/tape.svg").is_file()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", [name for _, name in pages.chapters()])
def test_the_notebook_runs(name, tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient", reason="no nbclient: pip install '.[docs]'")
    nbformat = pytest.importorskip("nbformat")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT)]))  # bench, of some pages
    cells = nbformat.from_dict(notebook.notebook(pages.text_of(name)))
    nbformat.validate(cells)
    where = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(cells, timeout=300, resources=where).execute()
    assert all(c.execution_count for c in cells.cells if c.cell_type == "code")
