"""The recipes of docs/beyond-one-machine.md, taken from the page itself and run: each answers every
job, in order.
"""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import orjson
import pytest

from tests import program
from tests.docs.test_docs import server

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "beyond-one-machine.md").read_text(encoding="utf-8")
JOBS = 9
SQUARES = [(i, 2.0 * i) for i in range(1, JOBS + 1)]
"""The id of each job of the page, and the derivative of x**2 at x = id."""


def recipe(beginning: str, language: str = "bash") -> str:
    """The one block of the page that begins so."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    found: list[str] = [block for block in blocks if block.startswith(beginning)]
    assert len(found) == 1
    return found[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the page's jobs and their parts, its part.sh, and a gradcli to call."""
    wrapper = tmp_path / "bin" / "gradcli"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexec {sys.executable} -m gradcli "$@"\n', encoding="utf-8")
    wrapper.chmod(0o755)
    (tmp_path / "part.sh").write_text(recipe("#!/bin/sh\n"), encoding="utf-8")
    for line in re.findall(r"^\$ ((?:seq|split) .*)$", PAGE, re.MULTILINE):
        assert shell(line, tmp_path) == (0, "")
    return tmp_path


def shell(command: str, folder: Path, **more: str) -> tuple[int, str]:
    """The exit status of a command and what it printed."""
    path = f"{folder / 'bin'}:{os.environ['PATH']}"
    started = server()
    base = {**os.environ, **(started.env if started else program.BASE)}
    env = {**base, "PATH": path, "PYTHONPATH": str(ROOT), **more}
    done = subprocess.run(
        ["bash", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder, env=env,
        check=False,
    )  # fmt: skip
    return done.returncode, done.stdout


def answered(folder: Path) -> list[tuple[int, float]]:
    lines = (folder / "results.jsonl").read_text(encoding="utf-8").splitlines()
    return [(result["id"], result["gradients"]["x"]) for result in map(orjson.loads, lines)]


needs_parallel = pytest.mark.skipif(
    shutil.which("parallel") is None, reason="GNU parallel is not installed"
)


@needs_parallel
def test_parallel_answers_every_part(folder: Path) -> None:
    assert shell(recipe("parallel --joblog"), folder)[0] == 0
    shell(recipe("cat part."), folder)
    assert answered(folder) == SQUARES


@needs_parallel
def test_parallel_splits_a_file_by_itself(folder: Path) -> None:
    assert shell(recipe("OMP_NUM_THREADS=1 parallel"), folder)[0] == 0
    assert answered(folder) == SQUARES


@pytest.mark.exhaustive
def test_the_tasks_of_a_slurm_array_answer_every_part(folder: Path) -> None:
    """Slurm itself is not needed: it runs the script once per task, with the task's number."""
    (folder / "array.sh").write_text(recipe("#!/bin/bash\n#SBATCH"), encoding="utf-8")
    tasks = re.findall(r"--array=0-(\d)$", recipe("#!/bin/bash\n#SBATCH"), re.MULTILINE)
    for task in range(int(tasks[0]) + 1):
        assert shell("bash array.sh", folder, SLURM_ARRAY_TASK_ID=str(task)) == (0, "")
    shell(recipe("cat part."), folder)
    assert answered(folder) == SQUARES


def test_a_part_is_answered_whole_or_not_at_all_and_once(folder: Path) -> None:
    part, results = folder / "part.00.jsonl", folder / "part.00.jsonl.results"
    broken = folder / "bin" / "broken"
    broken.mkdir()
    (broken / "gradcli").write_text("#!/bin/sh\necho half\nexit 137\n", encoding="utf-8")
    (broken / "gradcli").chmod(0o755)
    assert shell(f'PATH="{broken}:$PATH" sh part.sh {part.name}', folder)[0] == 137
    assert not results.exists()
    part.write_text(
        'no json\n{"id": 2, "command": "grad", "expression": "x", "inputs": {"x": 1}}\n',
        encoding="utf-8",
    )
    assert shell(f"sh part.sh {part.name}", folder) == (0, "")
    assert len(results.read_text(encoding="utf-8").splitlines()) == 2
    assert shell(f'PATH="{broken}:$PATH" sh part.sh {part.name}', folder) == (0, "")
    shell(recipe("cat part."), folder)
    status, failed = shell(recipe("grep"), folder)
    assert (status, len(failed.splitlines())) == (0, 1)
    assert "not JSON" in failed


@pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray is not installed: the extra ray brings it"
)
@pytest.mark.timeout(300)
def test_ray_data_answers_every_job(folder: Path) -> None:
    (folder / "recipe.py").write_text(recipe("import json", "python"), encoding="utf-8")
    status, said = shell(
        f"{sys.executable} recipe.py", folder, RAY_USAGE_STATS_ENABLED="0", HOME=str(folder)
    )
    assert status == 0, said
    assert answered(folder) == SQUARES
