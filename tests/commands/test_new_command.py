"""A new command is one folder and one line: a toy one is added to a copy of gradcli, and everything
else knows it.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

FOLDER = {
    "__init__.py": '''
"""`cube`: x^3 and its derivative."""

EXAMPLES = (("gradcli cube --x 2", "8, and 12"),)
PATHS = "derivative.0"
''',
    "request.py": '''
"""`cube`: where to evaluate."""

from dataclasses import dataclass

from gradcli.language.literals.literal import Literal
from gradcli.options.fields import TENSOR, option
from gradcli.options.shared import ExplainOptions


@dataclass(frozen=True, kw_only=True)
class Cube(ExplainOptions):
    """The cube of x and its derivative."""

    x: Literal = option(TENSOR, "where to evaluate: a tensor of any shape")
''',
    "result.py": '''
"""What `cube` computes."""

from dataclasses import dataclass

from torch import Tensor

from gradcli.results import Result


@dataclass(frozen=True, kw_only=True)
class CubeResult(Result):
    """Value and derivative in the shape of x."""

    value: Tensor
    derivative: Tensor

    def main(self) -> list[Tensor]:
        """The value."""
        return [self.value]

    def gradient_paths(self) -> dict[str, str]:
        """The derivative."""
        return {"x": "derivative"}
''',
    "compute.py": '''
"""`cube`: PyTorch's value and gradient."""

import torch

from gradcli import core
from gradcli.commands.cube.request import Cube
from gradcli.commands.cube.result import CubeResult
from gradcli.evaluate.job import Job
from gradcli.results import Subject


def compute(request: Cube, job: Job) -> CubeResult:
    """The cube of x."""
    x = job.floating("x", request.x)
    value, slope = core.slopes(lambda x: x**3, x)
    subject = Subject("", "x**3", {"x": x}, ("x",), torch.ones_like(x))
    return CubeResult(**job.header("cube", {"x": x}, subjects=[subject]), value=value, derivative=slope)
''',
    "show.py": '''
"""The table of `cube`."""

from gradcli.commands.cube.result import CubeResult
from gradcli.show.table import Block, Column, Table


def tables(result: CubeResult, digits: int) -> list[Table]:
    """A row for each element."""
    cells = tuple(tensor.reshape(-1) for tensor in (result.inputs["x"], result.value, result.derivative))
    return [Table((Column("x"), Column("cube"), Column("slope")), (Block(result.value.numel(), cells),), "Cubes")]
''',
}

CALLS = {
    "help": ["help"],
    "help of it": ["cube", "--help"],
    "table": ["cube", "x=1,2"],
    "JSON": ["cube", "x=1,2", "--json"],
    "CSV": ["cube", "--x", "1,2", "--csv"],
    "one value": ["cube", "x=1,2", "--get", "derivative.1"],
    "evidence": ["cube", "x=1,2", "--check", "--explain", "--expect", "3,12", "--json"],
    "slip": ["cube", "x=1,2", "--expect", "-3,-12", "--json"],
    "array": ["cube", "x=1,2", "--out", "cube.npy"],
    "typo": ["cub", "x=1"],
}

SCRIPT = """
import json, sys
from gradcli.commands.candidates import candidates
from tests import program
from tests.program import run
program.CALLS_HERE = True
shown = {name: vars(run(*words)) for name, words in json.loads(sys.argv[1]).items()}
shown["batch"] = vars(run("batch", stdin='{"command": "cube", "x": [1, 2]}\\\\n{"command": "cub"}'))
shown["completion"] = [each.word for line in (["cu"], ["cube", "--de"]) for each in candidates(line)]
print(json.dumps(shown))
""".replace("\\\\n", "\\n")


@pytest.mark.exhaustive
def test_a_new_command_is_one_folder_and_one_line(tmp_path: Path) -> None:
    package = tmp_path / "gradcli"
    shutil.copytree(ROOT / "gradcli", package)  # with what is compiled
    folder = package / "commands" / "cube"
    folder.mkdir()
    for name, text in FOLDER.items():
        (folder / name).write_text(text.lstrip(), encoding="utf-8")
    listing = package / "commands" / "__init__.py"
    lines = listing.read_text(encoding="utf-8").split("\n")
    place = next(i for i, line in enumerate(lines) if line.lstrip().startswith('Command("grad"'))
    lines.insert(place, '        Command("cube", "Explore", "the cube of a number and its slope"),')
    listing.write_text("\n".join(lines), encoding="utf-8")

    path = os.pathsep.join((str(tmp_path), str(ROOT)))
    made = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps(CALLS)], check=False, capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"},
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    shown = json.loads(made.stdout)
    assert "cube              the cube of a number and its slope" in shown["help"]["stdout"]
    for words in (
        "The cube of x and its derivative.",
        "gradcli cube --x 2",
        "--x T",
        "such as derivative.0",
    ):
        assert words in shown["help of it"]["stdout"]
    assert "Cubes" in shown["table"]["stdout"]
    result = {"value": [1.0, 8.0], "derivative": [3.0, 12.0]}
    assert json.loads(shown["JSON"]["stdout"]).items() >= result.items()
    assert shown["CSV"]["stdout"] == "x,cube,slope\n1.0,1.0,3.0\n2.0,8.0,12.0\n"
    assert shown["one value"]["stdout"] == "12.0\n"
    evidence = json.loads(shown["evidence"]["stdout"])
    assert (evidence["ok"], evidence["check"]["x"]["ok"], evidence["expect"]["x"]["ok"]) == (
        True,
        True,
        True,
    )
    assert evidence["ledger"][-1] == {
        "name": "x", "operation": "gradient", "value": None, "local": None, "upstream": None, "product": [3.0, 12.0],
        "rule": None,
    }  # fmt: skip
    assert json.loads(shown["slip"]["stdout"])["expect"]["x"]["slip"] == "sign"
    assert shown["array"]["stdout"] == "wrote cube.npy\n"
    assert "did you mean cube?" in shown["typo"]["stderr"]
    first, second = map(json.loads, shown["batch"]["stdout"].splitlines())
    assert first.items() >= result.items()
    assert "cube" in second["error"]["message"]
    assert shown["completion"] == ["cube", "--device"]
