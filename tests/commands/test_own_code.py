"""`check` on code of one's own: each call in the files of tests/cases/own_code finds what the file says.

The calls are computed in this process, which has PyTorch loaded; those that must fail, as a user
makes them.
"""

import shlex
import sys
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gradcli.cli import words
from gradcli.commands import COMMANDS
from gradcli.commands.dispatch import compute
from gradcli.options.check import check
from gradcli.options.fill import from_words
from tests.choice import Choose
from tests.program import run

FILES = sorted((Path(__file__).parents[1] / "cases" / "own_code").glob("*.py"))


def calls(path: Path) -> Iterator[tuple[list[str], str]]:
    """The words of each call in a file, and what is expected of it."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for call, expected in zip(lines[::2], lines[1::2], strict=False):
        if call.startswith("# check: "):
            target, *others = shlex.split(call.removeprefix("# check: "))
            yield [f"{path}:{target}", *others], expected.removeprefix("# expect: ")


def result_of(arguments: list[str]) -> Any:
    """The result of one call of `check`."""
    command = COMMANDS["check"]
    request: Any = from_words(command.request, *words.parse(command, arguments))
    return compute(check(request, str), lambda step, operands: None)


def difference(result: Any, expected: str) -> str:
    """How a result differs from the expected one; "" if it does not."""
    found = {name: each for name, each in result.check.items() if not each.ok}
    if result.ok != (not found and result.reason is None):
        return f"ok is {result.ok}, reason {result.reason}, found {found}"
    if expected in ("count", "forward"):
        return "" if result.reason == expected else f"reason {result.reason}"
    for part in [] if expected == "ok" else expected.split("; "):
        finding, _, slips = part.partition(" slip=")
        name, reason = finding.split()
        one = found.pop(name, None)
        if (
            one is None
            or one.reason != reason
            or (slips and (one.slip or "-") not in slips.split("|"))
        ):
            return f"{part}: {one and (one.reason, one.slip, one.finding)}"
    others = {name: (one.reason, one.finding) for name, one in found.items()}
    return f"also {result.reason} {others}" if others or result.reason else ""


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    """What running a file changes of this process is put back."""
    monkeypatch.setattr(sys, "argv", sys.argv[:])
    monkeypatch.setattr(sys, "path", sys.path[:])


def kind_of(expected: str) -> Hashable:
    """What is expected, without the names of the inputs."""
    if expected.startswith("exit"):
        return "exit"
    return frozenset(part.partition(" ")[2] for part in expected.split("; "))


@pytest.mark.timeout(600)
def test_each_call_finds_what_its_file_says(choose: Choose[Any]) -> None:
    differ = {}
    every_call = (call for path in FILES for call in calls(path))
    for arguments, expected in choose(every_call, lambda call: kind_of(call[1])):
        if expected.startswith("exit 2"):
            ran = run("check", *arguments, "--json")
            told = ran.status == 2 and not ran.stdout and expected[7:] in ran.stderr
            differ[expected] = "" if told else f"{ran.status}: {ran.stdout}{ran.stderr}"
        else:
            differ[f"{arguments} {expected}"] = difference(result_of(arguments), expected)
    assert differ
    assert not {call: text for call, text in differ.items() if text}


@pytest.mark.parametrize(("name", "status"), [("Exp", 0), ("ExpNeg", 1)])
def test_the_exit_status_says_whether_all_is_right(name: str, status: int) -> None:
    path = FILES[0].with_name("func_exp.py")
    ran = run("check", f"{path}:{name}", "x=randn(3)", "--json")
    assert ran.status == status
    assert ran.json["ok"] == (status == 0)
    assert ran.json["check"]["x"]["slip"] == ("sign" if status else None)
