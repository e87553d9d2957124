"""`why --run` on programs that end well: the silent fault and its line, or nothing at all."""

import os
import re
from pathlib import Path

import pytest

from tests.choice import Choose, in_rows
from tests.program import ROOT
from tests.watch.together import run_together

pytestmark = pytest.mark.timeout(600)  # many programs

FAULTS = os.path.join(ROOT, "tests", "cases", "silent_faults.txt")
RIGHT = os.path.join(ROOT, "tests", "cases", "silent_right.txt")
HEAD = (
    "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n\ntorch.manual_seed(0)\n"
)
MARK = "# <--"


def written(source: str, folder: Path) -> dict[str, str]:
    """The programs of a case file, written into files: what follows `===`, by file."""
    with open(source, encoding="utf-8") as file:
        _, *parts = re.split(r"^=== (.*)\n", file.read(), flags=re.MULTILINE)
    files = {}
    for number, (what, body) in enumerate(zip(parts[::2], parts[1::2], strict=True)):
        path = folder / f"program{number}.py"
        path.write_text(HEAD + body, encoding="utf-8")
        files[str(path)] = what
    return files


def test_each_silent_fault_is_found_at_its_line(tmp_path: Path, choose: Choose[str]) -> None:
    files = written(FAULTS, tmp_path)
    wrong = []
    for name, answer in run_together(choose(files, in_rows(4, files)), plain=False).items():
        with open(name, encoding="utf-8") as file:
            marked = [at for at, line in enumerate(file, 1) if line.rstrip().endswith(MARK)]
        found = [(finding["entry"], finding["line"]) for finding in answer["findings"]]
        right = found and found[0][0] in files[name].split("|") and found[0][1] in marked
        if not right or answer["status"] != 0 or answer["error"] or answer["exit"] != 1:
            wrong.append(f"{name}: {files[name]} in {marked}, but {found} {answer['error']}")
    assert not wrong, "\n".join(wrong)


def test_right_programs_have_no_finding_and_print_what_they_print_unwatched(
    tmp_path: Path, choose: Choose[str]
) -> None:
    files = written(RIGHT, tmp_path)
    wrong = []
    for name, answer in run_together(choose(files, in_rows(10, files))).items():
        if answer["findings"] or answer["exit"] != 0 or answer["printed"] != answer["plain"]:
            wrong.append(f"{files[name]}: {answer['findings']} {answer['error']}")
    assert not wrong, "\n".join(wrong)
