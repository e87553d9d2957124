"""`why --run` on training programs as students write them: the fault and its line, or nothing.

The first line of a program of tests/cases/programs says what is expected: `# right`, or `# bug: ` and
the entry of `why`, several if each is a fair answer; then the lines that may be called the cause are
marked. Each of these programs ends as its first line says when Python runs it.
"""

import os
from dataclasses import dataclass
from typing import Any

import pytest

from tests.choice import Choose, in_rows
from tests.program import ROOT
from tests.watch.together import run_together

pytestmark = pytest.mark.timeout(600)  # many programs

PROGRAMS = os.path.join(ROOT, "tests", "cases", "programs")
MARK = "# <-- cause"
MISSED = {
    "both_sides_move_together.py", "normalised_weight_wrapped_again.py", "penalty_of_data.py",
    "raw_pixels_into_a_sigmoid.py",
}  # fmt: skip
"""What is not found yet, or not at its line: take out what you mend."""


@dataclass(frozen=True)
class Program:
    """A program, the entries that may be found in it (none if it is right), and the lines."""

    file: str
    entries: frozenset[str]
    lines: frozenset[int]

    def miss(self, answer: dict[str, Any]) -> str | None:
        """How an answer misses the fault; None if the first finding is the fault."""
        name = os.path.basename(self.file)
        found = [(finding["entry"], finding["line"]) for finding in answer["findings"]]
        if found and found[0][0] in self.entries and found[0][1] in self.lines:
            return None
        return (
            f"{name}: {sorted(self.entries)} in {sorted(self.lines)}, but {found} {answer['error']}"
        )


def programs(folder: str = PROGRAMS) -> list[Program]:
    """The programs of a folder, with what is expected of each."""
    found = []
    for name in sorted(name for name in os.listdir(folder) if name.endswith(".py")):
        file = os.path.join(folder, name)
        with open(file, encoding="utf-8") as source:
            first, *rest = source.read().splitlines()
        lines = frozenset(number for number, line in enumerate(rest, 2) if line.endswith(MARK))
        entries = frozenset(first.removeprefix("# bug: ").split("|"))
        assert first.startswith("# bug: ") if lines else first == "# right", name
        found.append(Program(file, entries if lines else frozenset(), lines))
    return found


def test_each_fault_is_found_at_its_line(choose: Choose[Program]) -> None:
    faulty = [program for program in programs() if program.entries]
    chosen = choose(faulty, in_rows(8, faulty))
    answers = run_together([program.file for program in chosen], plain=False)
    wrong = [miss for program in chosen if (miss := program.miss(answers[program.file]))]
    missed = MISSED & {os.path.basename(program.file) for program in chosen}
    assert {miss.partition(":")[0] for miss in wrong} == missed, "\n".join(wrong)


def test_in_a_right_program_nothing_is_found_and_nothing_changes(choose: Choose[str]) -> None:
    right = [program.file for program in programs() if not program.entries]
    for file, answer in run_together(choose(right, in_rows(8, right))).items():
        assert (answer["findings"], answer["error"], answer["exit"]) == ([], None, 0), file
        assert answer["printed"] == answer["plain"] != "", file
