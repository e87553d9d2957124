"""`why --run` on programs that end with an error: its cause and the causing line, or nothing."""

import os
import re
from pathlib import Path
from typing import Any

import pytest

from tests.choice import Choose
from tests.program import ROOT
from tests.watch.together import run_together

pytestmark = pytest.mark.timeout(600)  # many programs

CASES = os.path.join(ROOT, "tests", "cases", "failing_programs.txt")
MARK = "# <--"


def test_the_line_that_causes_each_error_is_found(tmp_path: Path, choose: Choose[Any]) -> None:
    with open(CASES, encoding="utf-8") as file:
        head, *parts = re.split(r"^=== ?(.*)\n", file.read(), flags=re.MULTILINE)
    expected: dict[str, tuple[str, set[int]]] = {}
    cases = choose(zip(parts[::2], parts[1::2], strict=True), lambda case: case[0])
    for number, (entry, body) in enumerate(cases):
        path = tmp_path / f"{number}_{entry or 'foreign'}.py"
        path.write_text(text := head + body, encoding="utf-8")
        marked = {at for at, line in enumerate(text.splitlines(), 1) if line.endswith(MARK)}
        expected[str(path)] = entry, marked
    wrong = []
    for name, answer in run_together(list(expected)).items():
        entry, lines = expected[name]
        found = [(finding["entry"], finding["line"]) for finding in answer["findings"]]
        right = found and found[0][0] == entry and found[0][1] in lines if entry else not found
        if not right or answer["error"] is None or answer["status"] != 1 or answer["exit"] != 1:
            wrong.append(f"{name}: {entry} in {sorted(lines)}, but {found} {answer['error']}")
    assert not wrong, "\n".join(wrong)
