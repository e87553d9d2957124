"""Runs whole commands in turn: their seconds, their memory, and how busy the machine was besides.

This reads /proc, which only Linux has.
"""

import compileall
import ctypes
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import sysconfig
import time
import venv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tools.benchmarks import programs
from tools.benchmarks.rows import COLD, Row

ROOT = Path(__file__).parents[2]
PYTHON = sys.executable
SCRIPT = Path(PYTHON).parent / "gradcli"
GRADCLI = [str(SCRIPT)] if SCRIPT.exists() else [PYTHON, "-m", "gradcli"]
BUDGET, LEAST, MOST = 12.0, 5, 50
"""The seconds that a row may take, and the pairs that it has at least and at most whatever they
take."""
_CHILD_SUBREAPER = 36
TICKS = os.sysconf("SC_CLK_TCK")


class CommandError(Exception):
    """A command or program ended with another status than it should."""


def family(pid: int) -> Iterator[int]:
    """A process and its descendants."""
    yield pid
    with suppress(OSError):  # it has ended meanwhile
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                yield from family(int(child))


def memory(pid: int) -> list[dict[str, int]]:
    """The sizes in /proc/PID/smaps_rollup of a process and of each of its descendants, in bytes."""
    found = []
    for each in family(pid):
        with suppress(OSError):
            text = Path(f"/proc/{each}/smaps_rollup").read_text()
            sizes = re.findall(r"^(\w+): +(\d+) kB$", text, re.MULTILINE)
            found.append({name: int(size) * 1024 for name, size in sizes})
    return [sizes for sizes in found if sizes]


def resident(pid: int) -> int:
    """The resident memory of a process and its descendants: the pages that each has for itself, and
    those of the one that shares most.

    Forks share with their parent, so this counts each page once. The sum of the proportional sizes
    would depend on what other programs share.
    """
    each = memory(pid)
    own = sum(one["Private_Clean"] + one["Private_Dirty"] for one in each)
    return own + max((one["Shared_Clean"] + one["Shared_Dirty"] for one in each), default=0)


def ticks() -> tuple[int, int]:
    """The time that programs have had so far, and what the host gave to other guests, in ticks of
    all processors.
    """
    line = Path("/proc/stat").read_text().partition("\n")[0]
    user, nice, system, _, _, irq, softirq, stolen = map(int, line.split()[1:9])
    return user + nice + system + irq + softirq, stolen


class Machine:
    """The current folder: made ready to run commands in it, with a Python environment where nothing
    is installed. `peers` is a Python that has the group `peers`.
    """

    def __init__(self, peers: str) -> None:
        self.variables = {**os.environ, "XDG_RUNTIME_DIR": os.getcwd(), "GRADCLI_SERVER": "off"}
        if not SCRIPT.exists():
            self.variables["PYTHONPATH"] = str(ROOT)
        venv.create("bare", symlinks=True)
        self._pythons = {"": PYTHON, "bare": os.path.abspath("bare/bin/python"), "peers": peers}
        self._server = 0
        # A server or worker whose parent has ended becomes a child of this process, for `others`.
        ctypes.CDLL(None).prctl(_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.run([PYTHON, "-c", "import gradcli; print(gradcli.__file__)"])
        if (used := Path(Path("stdout").read_text().strip())).parent != ROOT / "gradcli":
            raise SystemExit(f"{PYTHON} runs {used}, which is not this checkout")
        for folder in (ROOT / "gradcli", sysconfig.get_path("purelib")):
            compileall.compile_dir(folder, quiet=2)
        programs.write_files()

    @contextmanager
    def server(self) -> Iterator[None]:
        """A server while this context lasts."""
        self.run([*GRADCLI, "server", "start"])
        try:
            self.run([*GRADCLI, "server", "status", "--json"])
            self._server = json.loads(Path("stdout").read_text())["pid"]
            yield
        finally:
            self.run([*GRADCLI, "server", "stop"])
            self._server = 0

    def run(
        self, command: list[str], row: Row = COLD, stdin: str = os.devnull, status: int = 0
    ) -> float:
        """The seconds of a whole command, from its start until it has ended; for a row of memory
        the most megabytes that all its processes had at a time.

        Raises:
            CommandError: it ended with another status.
        """
        mode = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        streams = [
            (os.POSIX_SPAWN_OPEN, 0, stdin, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, "stdout", mode, 0o600),
            (os.POSIX_SPAWN_OPEN, 2, "stderr", mode, 0o600),
        ]
        watched, peak = row.kind == "memory", 0
        variables = {**self.variables, **row.variables}
        start = time.perf_counter()
        pid = os.posix_spawn(command[0], command, variables, file_actions=streams)
        while not (ended := os.wait4(pid, os.WNOHANG if watched else 0))[0]:
            peak = max(peak, resident(pid))
        seconds = time.perf_counter() - start
        if (code := os.waitstatus_to_exitcode(ended[1])) != status:
            said = " ".join(Path("stderr").read_text(errors="replace").split())
            raise CommandError(f"status {code}: {said[-200:]}")
        return max(peak, ended[2].ru_maxrss * 1024) / 1e6 if watched else seconds

    def pair(self, row: Row) -> tuple[float, float]:
        """What a row measures of its command and of its program, run once each."""

        def measure(command: list[str], status: int = 0) -> float:
            if not row.stdin:
                return self.run(command, row, status=status)
            return self.run(command, row, row.stdin) - self.run(command, row, f"one-{row.stdin}")

        ours = measure([*GRADCLI, *row.words], row.status)
        if row.after:
            self.run([*GRADCLI, *row.after])
        if row.kind == "server":
            time.sleep(5)  # an idle worker keeps less memory than one that has just been made
            return sum(one["Pss"] for one in memory(self._server)) / 1e6, 1.0
        program = [self._pythons[row.python], "-c", row.program]
        return ours, measure(program if row.program else [*GRADCLI, *COLD.words])


def others() -> float:
    """The seconds of processors that other processes than this one and its descendants have had so
    far.
    """
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    ours = 0
    for pid in family(os.getpid()):
        with suppress(OSError):
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
            ours += sum(map(int, stat[11:15]))
    return (ticks()[0] - ours) / TICKS


def measured(row: Row, machine: Machine, rounds: int | None) -> dict[str, Any]:
    """A row as it is recorded: the medians of both sides, the ratio pair by pair with its quartiles
    and range, and how many processors other work had meanwhile, on average.

    A pair that does not count comes first. `rounds` is the number of pairs where it is given.
    """
    try:
        start = time.perf_counter()
        machine.pair(row)
        fitting = int(BUDGET / (time.perf_counter() - start))
        start, before = time.perf_counter(), others()
        count = rounds or max(LEAST, min(MOST, fitting))
        pairs = [machine.pair(row) for _ in range(count)]
    except CommandError as reason:
        return {"row": row.title, "failed": str(reason)}
    besides = (others() - before) / (time.perf_counter() - start)
    return {"row": row.title, **summary(pairs), "others": max(0.0, round(besides, 2))}


def summary(pairs: Sequence[tuple[float, float]]) -> dict[str, Any]:
    """What is recorded of the pairs of a row."""

    def short(*values: float) -> list[float]:
        return [float(f"{value:.4g}") for value in values]

    ratios = sorted(ours / theirs for ours, theirs in pairs)
    quartiles = statistics.quantiles(ratios, n=4, method="inclusive") if len(pairs) > 1 else ratios
    both = map(statistics.median, zip(*pairs, strict=True))
    keys = ("ours", "theirs", "ratio")
    medians = dict(zip(keys, short(*both, statistics.median(ratios)), strict=True))
    spread = {
        "quartiles": short(quartiles[0], quartiles[-1]),
        "range": short(ratios[0], ratios[-1]),
    }
    return {"rounds": len(pairs), **medians, **spread}


def surroundings() -> dict[str, Any]:
    """What was measured, with what, and where.

    The processor has its family and model beside its name, which virtual machines shorten.
    """

    def git(*words: str) -> str:
        return subprocess.check_output(["git", "-C", str(ROOT), *words], text=True).strip()

    text = Path("/proc/cpuinfo").read_text()
    found = dict(re.findall(r"^(model name|cpu family|model)\s*: (.*)$", text, re.MULTILINE))
    name = found.get("model name", platform.machine())
    changed = "+changes" if git("status", "--porcelain", "--", "gradcli", "bin") else ""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "gradcli": version("gradcli"),
        "commit": git("rev-parse", "--short", "HEAD") + changed,
        "processor": f"{name} (family {found.get('cpu family')}, model {found.get('model')})",
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        **{name: version(name) for name in ("torch", "numpy")},
        "load": round(os.getloadavg()[0], 2),
    }
