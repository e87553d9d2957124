"""`why --run` on programs that end with an error: its cause and the causing line, or nothing."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.choice import Choose, in_rows
from tests.program import ROOT
from tests.watch.together import run_together

pytestmark = pytest.mark.timeout(600)  # many programs

CASES = os.path.join(ROOT, "tests", "cases", "failing_programs.txt")
MARK = "# <--"
EXITS = (
    "sys.exit(1)",
    'raise SystemExit(f"it failed: {error}") from error',
    'sys.exit(f"failed: {error}")',
)
EXITING = """
import sys
import torch

net = torch.nn.Linear(3, 1)
try:
    net(torch.ones(4, 3)).detach().mean().backward()
except RuntimeError as error:
    {exit}
"""


def test_the_line_that_causes_each_error_is_found(tmp_path: Path, choose: Choose[Any]) -> None:
    with open(CASES, encoding="utf-8") as file:
        head, *parts = re.split(r"^=== ?(.*)\n", file.read(), flags=re.MULTILINE)
    expected: dict[str, tuple[str, set[int]]] = {}
    everything = [*zip(parts[::2], parts[1::2], strict=True)]
    cases = choose(everything, in_rows(3, everything))
    for number, (entry, body) in enumerate(cases):
        path = tmp_path / f"{number}_{entry or 'foreign'}.py"
        path.write_text(text := head + body, encoding="utf-8")
        marked = {at for at, line in enumerate(text.splitlines(), 1) if line.endswith(MARK)}
        expected[str(path)] = entry, marked
    wrong = []
    for name, answer in run_together(list(expected), plain=False).items():
        entry, lines = expected[name]
        found = [(finding["entry"], finding["line"]) for finding in answer["findings"]]
        right = found and found[0][0] == entry and found[0][1] in lines if entry else not found
        if not right or answer["error"] is None or answer["status"] != 1 or answer["exit"] != 1:
            wrong.append(f"{name}: {entry} in {sorted(lines)}, but {found} {answer['error']}")
    assert not wrong, "\n".join(wrong)


def test_an_error_behind_an_exit_is_found(tmp_path: Path) -> None:
    for number, text in enumerate(EXITS):
        (tmp_path / f"{number}.py").write_text(EXITING.format(exit=text), encoding="utf-8")
    for answer in run_together([str(path) for path in tmp_path.iterdir()], plain=False).values():
        found = [(finding["entry"], finding["line"]) for finding in answer["findings"]]
        assert (found, answer["error"], answer["status"]) == ([("detached", 7)], None, 1)
