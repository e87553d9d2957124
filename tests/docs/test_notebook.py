"""The cells of docs/how-to/notebook.md run from top to bottom, `!` lines included, and their
assertions hold.
"""

import re
from pathlib import Path

from tests.docs.test_docs import ROOT, Session

PAGE = ROOT / "docs" / "how-to" / "notebook.md"

SHELL = '''
import subprocess


def shell(command, names):
    """What `lines = !command` is in IPython: names between braces are filled in, both streams come back as lines."""
    filled = command.format(**names)
    done = subprocess.run(filled, shell=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.stdout.splitlines()


'''


def test_the_cells_run(tmp_path: Path) -> None:
    cells = re.findall(
        r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert sum("assert" in cell for cell in cells) == len(cells) == 3
    program = re.sub(
        r"^(\w+) = !(.+)$",
        r'\1 = shell(r"""\2""", globals())',
        "\n".join(cells),
        flags=re.MULTILINE,
    )
    assert program.count("shell(") == 2
    (tmp_path / "cells.py").write_text(SHELL + program, encoding="utf-8")
    output = Session(str(tmp_path)).output("(python cells.py)")
    assert output is not None
    assert [line.split()[0] for line in output.splitlines()] == ["0.1", "0.5", "1.1"]
