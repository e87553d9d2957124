"""Runs the notebook of the documentation from its first cell to its last, and keeps what it shows.

python -m tools.notebook
"""

from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

FILE = Path(__file__).parents[1] / "docs" / "notebooks" / "gradients.ipynb"


def read() -> Any:
    """The notebook as it is kept."""
    return nbformat.read(FILE, as_version=4)  # type: ignore[no-untyped-call]


def run() -> Any:
    """The notebook with the outputs of a run. Raises CellExecutionError for a cell that fails."""
    notebook = read()
    NotebookClient(notebook, timeout=100, kernel_name="python3").execute()
    notebook.metadata = {"kernelspec": {"display_name": "Python 3", "name": "python3"}}
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = str(number), {}
        for output in cell.get("outputs", ()):
            if "text/html" in output.get("data", {}):  # which shows the picture too
                output.data.pop("image/png", None)
                output.data.pop("text/markdown", None)
    return notebook


if __name__ == "__main__":
    nbformat.write(run(), FILE)  # type: ignore[no-untyped-call]
