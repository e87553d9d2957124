"""The marks of tools.coverage against Python's own trace of the lines that it runs."""

import sys
from types import CodeType, FrameType
from typing import Any

import pytest

from tools.coverage import MARKS, PASSED, RUN, TAKEN, Marked

PROGRAM = '''"""A docstring."""
from __future__ import annotations
TYPE_CHECKING = False
if TYPE_CHECKING:
    import decimal
class Case:
    """Another."""
    bound = 3
    def through(self, given: object) -> object:
        match given:
            case int():
                return 1
            case [first, *_] if first:
                return first
def loop(numbers, stop):
    found = []
    for number in numbers:
        if number == stop:
            break
        elif number < 0:
            continue
        found.append(number)
    else:
        found.append("end")
    while True:
        try:
            if found.pop() == "end":
                raise ValueError
        except ValueError:
            found.append(0)
        except IndexError:
            return found
        finally:
            stop = None
'''
CALLS = (
    "",
    "loop([1, 2], 2)",
    "loop([], 0)",
    "loop([-1], 0)",
    "Case().through([0])",
    "Case().through(1)",
)


def run(code: CodeType, call: str, names: dict[str, Any]) -> None:
    exec(code, names)
    exec(call, names)


def marked(call: str) -> tuple[set[tuple[int, int]], set[tuple[int, int]]]:
    """What could be marked, and what is."""
    module = Marked(PROGRAM, 0)
    marks = bytearray(3 * PROGRAM.count("\n") + 6)
    run(compile(module.tree, "<program>", "exec", dont_inherit=True), call, {MARKS: marks})
    return set(module.places), {(n, kind) for n, kind in module.places if marks[3 * n + kind]}


def traced(call: str) -> set[int]:
    """The lines that Python itself says it runs."""
    lines: set[int] = set()

    def trace(frame: FrameType, event: str, _: object) -> Any:
        if frame.f_code.co_filename == "<program>" and event == "line":
            lines.add(frame.f_lineno)
        return trace

    code, before = compile(PROGRAM, "<program>", "exec", dont_inherit=True), sys.gettrace()
    sys.settrace(trace)
    try:
        run(code, call, {})
    finally:
        sys.settrace(before)
    return lines


@pytest.mark.parametrize("call", CALLS)
def test_the_statements_that_are_marked_are_those_that_python_runs(call: str) -> None:
    every, found = marked(call)
    statements = {line for line, kind in every if kind == RUN}
    assert {line for line, kind in found if kind == RUN} == traced(call) & statements
    # Not a statement of its own: docstrings, what a type checker alone reads, `case`, `try`'s other lines.
    assert set(range(1, PROGRAM.count("\n") + 1)) - statements == {
        1,
        2,
        5,
        7,
        11,
        13,
        23,
        29,
        31,
        33,
    }


def test_a_branch_is_each_way_on() -> None:
    def ways(call: str) -> set[tuple[int, int]]:
        return {place for place in marked(call)[1] if place[1] != RUN}

    assert ways("") == set()
    assert ways("loop([2], 2)") == {(17, TAKEN), (18, TAKEN)}
    assert ways("loop([-1], 0)") == {
        (17, TAKEN), (17, PASSED), (18, PASSED), (20, TAKEN), (27, TAKEN), (27, PASSED),
    }  # fmt: skip
    assert ways("Case().through(1)") == {(11, TAKEN)}
    assert ways("Case().through([7])") == {(13, TAKEN)}
    assert ways("Case().through([0])") == {(10, PASSED)}
