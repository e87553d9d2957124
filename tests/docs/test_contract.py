"""The page of the contract: each statement names the tests that hold it, and those tests are
there.
"""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "contract.md"
HEADER = ("what is promised", "held by")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def rows(page: Path) -> list[tuple[int, list[str]]]:
    """The cells of every row of the page's tables, with the number of its line; headings and rules
    left out.
    """
    found = []
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), 1):
        if line.startswith("|") and not re.fullmatch(r"[|:\- ]+", line):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
            if tuple(cells) != HEADER:
                found.append((number, cells))
    return found


@cache
def names_of(file: str) -> set[str]:
    """The names of the tests of a file."""
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def faults(page: Path) -> list[str]:
    """What is wrong with the rows of a page."""
    found = []
    for number, cells in rows(page):
        named = TEST.findall(cells[-1])
        if len(cells) != len(HEADER):
            found.append(f"line {number}: {len(cells)} cells")
        if not named and not re.match(r"not held: \S", cells[-1]):
            found.append(f"line {number}: neither a test nor 'not held: ' and the reason")
        if cells[-1].count("::") != len(named):
            found.append(f"line {number}: a test is written `tests/test_x.py::test_name`")
        found += [
            f"line {number}: there is no {file}::{name}"
            for file, name in named
            if not (ROOT / file).is_file() or name not in names_of(file)
        ]
    return found


def test_every_statement_has_tests_that_are_there_or_a_reason() -> None:
    assert faults(PAGE) == []


def test_the_count_of_statements_is_right() -> None:
    cells = [held for _, (_, held) in rows(PAGE)]
    missing = sum(held.startswith("not held: ") for held in cells)
    said = f"{len(cells)} statements: {len(cells) - missing} held, {missing} not held."
    assert said in PAGE.read_text(encoding="utf-8")


def test_a_statement_without_a_test_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "contract.md"
    lines = [
        "| what is promised | held by |",
        "|---|---|",
        "| a \\| b | not held: no reason fits |",
        "| c | a test |",
    ]
    lines += [
        "| d | `tests/docs/test_contract.py::test_nothing_of_the_kind` |",
        "| e | `tests/no.py::test_e` |",
        "| f | tests/x.py::f |",
    ]
    page.write_text("\n".join(lines), encoding="utf-8")
    assert [fault.partition(":")[0] for fault in faults(page)] == [
        "line 4",
        "line 5",
        "line 6",
        "line 7",
        "line 7",
    ]


def test_the_packages_are_few_and_the_extra_all_is_what_a_user_may_want() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = {re.split(r"[^\w-]", package)[0] for package in project["dependencies"]}
    assert names == {
        "torch",
        "numpy",
        "typer",
        "rich",
        "orjson",
    }  # orjson writes what we would write by hand
    extras = set(project["optional-dependencies"]) - {"all"}
    (whole,) = project["optional-dependencies"]["all"]
    assert set(re.findall(r"\w+", whole.partition("[")[2])) == extras - {"test", "ray"}
