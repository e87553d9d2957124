"""docs/for-programs.md: its table of JSON keys is what commands answer, and the site serves it as
llms.txt too.
"""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests import program

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "for-programs.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| (.+?) \| (.+) \|$", PAGE, re.MULTILINE)
EVIDENCE = {"explain": True, "check": True, "expect": "x = x"}
JOBS: list[dict[str, Any]] = [
    {"expression": "h = x; h**2", "inputs": {"x": 1}, "command": "grad", **EVIDENCE},
    {"expression": "x**2", "inputs": {"x": [1, 2]}, "command": "grad", "each": "x"},
    {"expression": "x**2", "inputs": {"x": 1}, "command": "grad", "jvp": ["x=1"]},
    {"expression": "h = x; h**2", "command": "derive", "steps": True},
    {"expression": "h = x; h**2", "inputs": {"x": 1}, "command": "value", "shapes": True},
    {"expression": "x**2", "inputs": {"x": [1, 2]}, "command": "jacobian"},
    {"expression": "x**2", "inputs": {"x": 1}, "command": "hessian"},
    {"names": "relu", "x": 1, "command": "activate"},
    {"names": "mse", "pred": 1, "target": 0, "command": "loss"},
    {"x": [1, 2], "row": 0, "command": "softmax-jacobian"},
    {"x": [1, 2], "w": [1, 2], "target": 1, "command": "perceptron"},
    {"train": "and", "epochs": 1, "command": "perceptron"},
    {"expression": "x**2", "inputs": {"x": 1}, "command": "descend", "explain": True},
    {"names": "relu", "layers": 2, "width": 2, "command": "flow"},
]


def keys(beginning: str) -> set[str]:
    """The names in code in the rows of the table that begin so."""
    return {
        name
        for words, contains in ROWS
        if words.startswith((f"`{beginning} ", f"`{beginning}`", beginning + ","))
        for name in re.findall(r"`(\w+)`", contains)
    }


def test_the_table_names_the_keys_of_every_answer() -> None:
    lines = program.run("batch", stdin="\n".join(map(json.dumps, JOBS))).stdout.splitlines()
    shared = {"command", "dtype", "inputs", "defaults", "notes", "expression", "id"}
    for job, line in zip(JOBS, lines, strict=True):
        answer = json.loads(line)
        assert "error" not in answer, line
        command = job["command"]
        assert answer.keys() - shared <= keys(command) | keys("any"), line


def test_the_site_serves_the_page_as_plain_text() -> None:
    assert (DOCS / "llms.txt").read_text(encoding="utf-8") == PAGE


def test_the_python_on_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    exec(block, {})
    assert capsys.readouterr().out == "tensor(12.) tensor(14.5000)\n"
