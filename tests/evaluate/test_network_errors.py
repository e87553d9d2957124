"""What is wrong with a module or a layer, and hostile modules: one clear error each, and nothing is made.

`cases/module_errors.txt` holds calls, each over what it writes on standard error; run this file as
a program to write these again. `{a|b*3|c}` in a call stands for a, three times b, and c.
"""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

from tests.program import ROOT, Ran, run

FILE = Path(ROOT, "tests/cases/module_errors.txt")
_REPEATED = re.compile(r"\{([^|{}]*)\|([^|{}]*)\*(\d+)\|([^|{}]*)\}")


def cases() -> Iterator[tuple[str, list[str]]]:
    """Every call, and the lines that it must write."""
    for block in FILE.read_text(encoding="utf-8").split("\n\n"):
        head, *lines = block.strip("\n").split("\n")
        if not head.startswith("#"):
            yield head, [line.removeprefix("  ") for line in lines]


def called(head: str) -> Ran:
    written = _REPEATED.sub(lambda part: part[1] + part[2] * int(part[3]) + part[4], head)
    return run("grad", *shlex.split(written), "--timeout", "20")


def test_what_is_wrong_with_a_module_is_said_in_one_error() -> None:
    for head, lines in cases():
        ran = called(head)
        assert (ran.status, ran.stdout) == (2, ""), head
        assert ran.stderr.splitlines() == lines, head
        assert len(lines) <= 7


def update() -> None:
    """Write what every call says into the file."""
    blocks = []
    for block in FILE.read_text(encoding="utf-8").split("\n\n"):
        head = block.strip("\n").split("\n")[0]
        lines = [] if head.startswith("#") else called(head).stderr.splitlines()
        blocks.append(
            "\n".join([block.strip("\n") if not lines else head, *("  " + line for line in lines)])
        )
    FILE.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")


if __name__ == "__main__":
    update()
