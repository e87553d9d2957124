"""The notebook of the documentation shows what it computes, and the cells of the pages for Python run
from top to bottom in a real IPython shell, `%` and `!` lines included.
"""

import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from docs.hooks import cells
from tests.docs.test_docs import ROOT

shells = pytest.importorskip("IPython.core.interactiveshell")
pytest.importorskip("nbclient")


@pytest.mark.parametrize("page", ["README.md", "docs/how-to/notebook.md", "docs/python.md"])
def test_the_cells_of_a_page_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert sum("assert" in cell for cell in found) >= len(found) - 1 >= 0
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    shell: Any = shells.InteractiveShell()
    for cell in found:
        shell.run_cell(cell).raise_error()


@pytest.mark.filterwarnings("ignore")  # of Jupyter's own
def test_the_notebook_runs_and_shows_what_it_computes() -> None:
    from tools import notebook

    now = notebook.run()
    before = notebook.read()
    assert [cell.source for cell in now.cells] == [cell.source for cell in before.cells]
    for ours, theirs in zip(before.cells, now.cells, strict=True):
        assert texts(ours) == texts(theirs), "python -m tools.notebook"


def texts(cell: Any) -> list[str]:
    """What a cell shows as text."""
    outputs = cell.get("outputs", ())
    return [each.get("data", {}).get("text/plain", each.get("text")) for each in outputs]


def test_a_page_of_the_site_has_the_cells_and_what_they_show() -> None:
    shown = list(cells(ROOT / "docs" / "notebooks" / "gradients.ipynb"))
    text = "\n\n".join(shown)
    assert "# Where a gradient comes from" not in shown[0]
    assert '```python\nresult = gradcli.grad("mse(w*x, y)", x=1, w=2, y=1)' in text
    assert text.count("<table>") >= 6
    assert text.count("<img ") == 3
    assert "```text\ntensor(0.6400)\n```" in text
