"""The modules that a cold call loads, by group, with the milliseconds of their own code.

    python -m tools.imports [WORD ...]

The words are those of a gradcli command, `grad --fn mse --x 1 --w 2` unless given. Beside it stands
`python -c "import torch"`. `-X importtime` tells the times, in forked workers too. It also lists
modules that were found but not executed, since gradcli defers some of PyTorch's. Those are counted
by themselves: a module was executed if `-v` tells that its code was read.
"""

import math
import os
import re
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
NOT_EXECUTED = "torch, found but not executed"
REST, ALL = "the rest", "**all that was executed**"
RUNS = 3

Groups = Mapping[str, Sequence[float]]
"""By group the number of modules, and milliseconds."""


def group(name: str) -> str:
    """The group of a module: for PyTorch its subpackage, else its package."""
    first, *rest = name.split(".")
    if first == "torch":
        return ".".join([first, *rest[:1]])
    if first in ("numpy", "gradcli", "typer", "rich"):
        return first
    return "standard library" if first in sys.stdlib_module_names else "others"


def executed(report: str) -> set[str]:
    """The modules of PyTorch whose code ran, from what `-v` prints."""
    compiled = re.findall(r"^# code object from '?.*/(torch/[^']*)'?$", report, re.MULTILINE)
    extensions = re.findall(r"^# extension module '(.*)' executed", report, re.MULTILINE)
    paths = (re.sub(r"(__pycache__/)|(\.[^/]*$)", "", path) for path in compiled)
    return {path.removesuffix("/__init__").replace("/", ".") for path in paths} | {*extensions}


def grouped(report: str, ran: set[str]) -> dict[str, tuple[int, float]]:
    """The groups of the modules that `-X importtime` prints."""
    lines = re.findall(r"^import time: +(\d+) \| +\d+ \| +(\S+)$", report, re.MULTILINE)
    counts, times = Counter[str](), Counter[str]()
    for name, time in {name: int(time) for time, name in lines}.items():
        one = group(name) if name in ran or not name.startswith("torch.") else NOT_EXECUTED
        counts[one] += 1
        times[one] += time
    return {one: (count, times[one] / 1000) for one, count in counts.items()}


def loaded(**commands: Sequence[str]) -> dict[str, Groups]:
    """What Python loads with some words, by names for them: each group with the median of its
    times in runs of all of them in turn.
    """

    def report(words: Sequence[str], *options: str) -> str:
        variables = {**os.environ, "GRADCLI_SERVER": "off", "PYTHONPATH": str(ROOT)}
        command = [sys.executable, *options, *words]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
        return done.stderr

    ran = {name: executed(report(words, "-v")) for name, words in commands.items()}
    runs = [
        {
            name: grouped(report(words, "-X", "importtime"), ran[name])
            for name, words in commands.items()
        }
        for _ in range(RUNS)
    ]
    return {
        name: {
            one: (count, round(statistics.median(run[name][one][1] for run in runs), 1))
            for one, (count, _) in runs[0][name].items()
        }
        for name in commands
    }


def beside_torch(*words: str) -> dict[str, Groups]:
    """What a cold call loads, the lecture's unless its words are given, and what PyTorch alone
    does.
    """
    call = words or ("grad", "--fn", "mse", "--x", "1", "--w", "2")
    return loaded(call=(str(ROOT / "bin" / "gradcli"), *call), torch=("-c", "import torch"))


def compared(found: Mapping[str, Groups], least: float) -> str:
    """A table of groups, the slowest first, those below `least` milliseconds in one row."""
    most = {
        one: max(groups.get(one, (0, 0))[1] for groups in found.values())
        for one in {one for groups in found.values() for one in groups} - {NOT_EXECUTED}
    }
    shown = sorted((one for one in most if most[one] >= least), key=lambda one: (-most[one], one))
    parts = {one: [one] for one in [*shown, NOT_EXECUTED]}
    parts |= {REST: [one for one in most if most[one] < least], ALL: [*most]}
    rows = []
    for part, members in parts.items():
        sums = [
            [math.fsum(groups.get(one, (0, 0))[i] for one in members) for i in (0, 1)]
            for groups in found.values()
        ]
        rows.append([part, *(f"{count:.0f}, {time:.0f} ms" for count, time in sums)])
    return table(["modules, time of their own code", *found], rows)


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown, all but its first column to the right."""
    lines = [headings, ["---", *["--:"] * (len(headings) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    print(compared(beside_torch(*sys.argv[1:]), least=5))
