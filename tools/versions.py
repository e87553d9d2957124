"""Every Python, PyTorch and other package that is promised: the whole suite in a fresh environment
of each, one row for each.

    python -m tools.versions [--only 2.6.0 python3.14 ...] [--json] [-- PYTEST WORD ...]

It tries each row of the table below, or those that have one of the words after `--only`. Of the
other packages, `lowest` are the lower bounds that pyproject.toml admits, `pinned` those of
constraints.txt, `newest` what pip finds. An environment is made outside the tree, from a copy of
it, and removed when its row is known. Words for pytest may choose tests:
`-- tests/catalogue/test_operators.py`. It ends with 1 where a test failed or an environment could
not be made.
"""

import argparse
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from xml.etree import ElementTree

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent
LEFT = (".git", ".venv", ".hypothesis", ".*_cache", "__pycache__", "build", "dist", "*.egg-info")
"""What a copy of the tree leaves behind."""


@dataclass(frozen=True)
class Environment:
    """A Python by its command, a release of PyTorch, and which releases of all else."""

    python: str
    torch: str
    others: str


ENVIRONMENTS = (
    Environment("python3.11", "2.13.0", "pinned"),
    Environment("python3.11", "2.6.0", "lowest"),
    *(
        Environment("python3.11", version, "pinned")
        for version in ("2.7.1", "2.8.0", "2.9.1", "2.10.0", "2.11.0", "2.12.1", "2.14.1")
    ),
    Environment("python3.12", "2.14.1", "pinned"),
    Environment("python3.13", "2.13.0", "pinned"),
    Environment("python3.13", "2.15.0", "newest"),
    Environment("python3.14", "2.15.0", "newest"),
)


@dataclass(frozen=True)
class Row:
    """What came of an environment: the versions found in it, how many tests passed, and what failed
    or why there is none.
    """

    environment: Environment
    versions: dict[str, str]
    passed: int
    skipped: int
    failed: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether tests ran and none failed."""
        return self.passed > 0 and not self.failed


def lower_bounds() -> Iterator[str]:
    """The lowest release that pyproject.toml admits of each package that the program or its tests
    need.
    """
    with open(ROOT / "pyproject.toml", "rb") as file:
        project = tomllib.load(file)["project"]
    extras = project["optional-dependencies"]
    for requirement in itertools.chain(
        project["dependencies"],
        *(extras[name] for name in ("plot", "safetensors", "session", "test")),
    ):
        if ">=" in requirement:
            yield requirement.replace(">=", "==")


def constraints(environment: Environment) -> list[str]:
    """What pip is held to."""
    pinned = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    bounds = {"lowest": list(lower_bounds()), "pinned": pinned, "newest": []}[environment.others]
    return [line for line in bounds if not re.match("torch[=>]", line)] + [
        f"torch=={environment.torch}"
    ]


def tested(environment: Environment, words: Sequence[str], folder: Path) -> Row:
    """Make the environment in an empty folder and run the tests in it."""
    python, tree, report = (
        str(folder / "env" / "bin" / "python"),
        folder / "tree",
        folder / "report.xml",
    )
    shutil.copytree(ROOT, tree, ignore=shutil.ignore_patterns(*LEFT))
    limits = folder / "constraints.txt"
    limits.write_text("\n".join(constraints(environment)), encoding="utf-8")
    for command in (
        [environment.python, "-m", "venv", str(folder / "env")],
        [python, "-m", "pip", "install", "-q", "-c", str(limits), "-e", f"{tree}[test]"],
    ):
        try:
            subprocess.run(command, check=True, capture_output=True, text=True)
        except (OSError, subprocess.CalledProcessError) as error:
            lines = getattr(error, "stderr", "").splitlines() or [str(error)]
            told = [line for line in lines if line.startswith("ERROR")] or lines[-1:]
            return Row(environment, {}, 0, 0, ("not made: " + " ".join(told),))
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    subprocess.run(
        [python, "-m", "pytest", f"--junitxml={report}", *words],
        cwd=tree,
        env=env,
        stdout=sys.stderr,
        check=False,
    )
    return Row(environment, versions(python), *counted(report))


def versions(python: str) -> dict[str, str]:
    """What is installed beside a Python, and its own version."""
    program = (
        "import json, platform; from importlib.metadata import distributions;"
        "found = {one.name.lower(): one.version for one in distributions()};"
        "print(json.dumps({'python': platform.python_version(), **found}))"
    )
    done = subprocess.run([python, "-c", program], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def counted(report: Path) -> tuple[int, int, tuple[str, ...]]:
    """How many tests passed and were skipped, and the names of those that failed, from pytest's own
    report.
    """
    if not report.exists():
        return 0, 0, ("pytest made no report",)
    cases = list(ElementTree.parse(report).iter("testcase"))
    failed = tuple(
        f"{case.get('classname')}::{case.get('name')}"
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    )
    skipped = sum(case.find("skipped") is not None for case in cases)
    return len(cases) - skipped - len(failed), skipped, failed


SHOWN = ("torch", "numpy", "orjson", "rich", "typer", "matplotlib")


def table(rows: Sequence[Row]) -> Table:
    """The rows, to read."""
    drawn = Table("others", "python", *SHOWN, "passed", "skipped", "failed")
    for row in rows:
        found = {"python": row.environment.python, "torch": row.environment.torch, **row.versions}
        names = (found.get(name, "") for name in ("python", *SHOWN))
        drawn.add_row(
            row.environment.others, *names, str(row.passed), str(row.skipped), str(len(row.failed))
        )
    return drawn


def main() -> int:
    """Try each environment, print its row, and return 1 where one failed."""
    parser = argparse.ArgumentParser(description="the suite in every environment that is promised")
    known = {word for row in ENVIRONMENTS for word in astuple(row)}
    parser.add_argument("--only", nargs="+", choices=sorted(known), default=known, metavar="WORD")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("words", nargs="*", metavar="PYTEST WORD", help="after --")
    arguments = parser.parse_args()
    rows = []
    for environment in (row for row in ENVIRONMENTS if {*astuple(row)} & {*arguments.only}):
        with tempfile.TemporaryDirectory(prefix="g") as folder:
            rows.append(tested(environment, arguments.words, Path(folder)))
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows]))
    else:
        Console(width=140).print(table(rows))
        for row in rows:
            for name in row.failed:
                print(
                    f"{row.environment.python}, PyTorch {row.environment.torch}, {row.environment.others}: {name}"
                )
    return int(not all(row.ok for row in rows))


if __name__ == "__main__":
    sys.exit(main())
