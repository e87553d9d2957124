"""Every speed target beside what is measured here: whole gradcli commands against whole `python -c`
programs, run in turn.

    python -m tools.benchmarks.run [--rounds 15] [--json] [--peers PYTHON] [ROW ...]

Each round runs both programs of a row once, so that a machine that drifts drifts for both. The
ratio is that of the medians, the spread that of the ratios round by round. `python -c pass` runs in
an environment made for it, where nothing is installed. Memory is the largest process of each, as
the system accounts for it. `--peers` names a Python that has the group `peers`: the programs of
other tools are timed beside a warm and a cold call then.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tools.benchmarks import batch, peers, programs

ROOT = Path(__file__).parent.parent.parent
PYTHON = sys.executable
SCRIPT = Path(PYTHON).parent / "gradcli"
GRADCLI = [str(SCRIPT)] if SCRIPT.exists() else [PYTHON, "-m", "gradcli"]
GRAD = ("grad", "--fn", "mse", "--x", "1", "--w", "2")


@dataclass(frozen=True)
class Row:
    """A command, the program that it is held against, what is measured of both, and the most that
    their ratio may be.
    """

    name: str
    words: tuple[str, ...]
    program: str
    against: str
    target: float
    figure: str = "s"
    warm: bool = False
    variable: tuple[str, str] | None = None


@dataclass(frozen=True)
class Measured:
    """What came out of a row. `ours` and `theirs` are medians, in seconds or MiB; `lowest` and
    `highest` bound the ratios.
    """

    name: str
    against: str
    figure: str
    ours: float
    theirs: float
    ratio: float
    lowest: float
    highest: float
    target: float | None

    @property
    def verdict(self) -> str:
        """Whether the target is kept."""
        return "" if self.target is None else "ok" if self.ratio <= self.target else "MISSED"


def _jacobian(n: int) -> tuple[str, ...]:
    return ("jacobian", "sigmoid(W @ x)", f"W=randn({n},{n})", f"x=randn({n})", "--wrt", "x")


SOFTMAX = ("softmax-jacobian", "--x", "@logits.npy", "--out", "ours.npy")
SIGMOID = ("activate", "sigmoid", "--x", "@big.npy", "--out", "ours.npz")
PASS, TORCH, TYPER = "python -c pass", "the same in PyTorch", "import typer, rich.table"
ROWS = [
    Row("warm grad", GRAD, programs.PASS, PASS, 2.0, warm=True),
    Row("warm grad", GRAD, programs.MSE, TORCH, 1 / 60, warm=True),
    Row("cold grad", GRAD, programs.MSE, TORCH, 0.90),
    Row("cold grad EXPR", ("grad", "mse(w*x, 1+0*x)", "x=1", "w=2"), programs.MSE, TORCH, 0.90),
    Row("--version", ("--version",), programs.PASS, PASS, 1.5),
    Row("--help", ("--help",), programs.TYPER, TYPER, 2.0),
    Row("grad --help", ("grad", "--help"), programs.TYPER, TYPER, 2.0),
    Row("usage error", ("grad", "--nonsense"), programs.TYPER, TYPER, 1.5),
    Row(
        "completion",
        ("grad --fn hu", ""),
        programs.TYPER,
        TYPER,
        1.8,
        variable=("_GRADCLI_COMPLETE", "bash"),
    ),
    Row("softmax Jacobian, n = 4096", SOFTMAX, programs.SOFTMAX, "the bare closed form", 1.0),
    Row(
        "softmax Jacobian, n = 4096", SOFTMAX, programs.SOFTMAX, "the bare closed form", 1.0, "MiB"
    ),
    Row(
        "jacobian, 1,000 x 1,000",
        _jacobian(1000),
        programs.JACREV.format(n=1000),
        "torch.func.jacrev",
        1.2,
    ),
    Row(
        "jacobian, 3 x 3, cold", _jacobian(3), programs.JACREV.format(n=3), "torch.func.jacrev", 0.8
    ),
    Row("activate, 10 million", SIGMOID, programs.SIGMOID, TORCH, 1.1),
    Row("activate, 10 million", SIGMOID, programs.SIGMOID, TORCH, 1.25, "MiB"),
]


class Machine:
    """Where commands are run: a folder with the files that they read, a bare Python, and a server
    of their own.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        venv.create(folder / "bare", symlinks=True)
        self.bare = str(folder / "bare" / "bin" / "python")
        self._env = {**os.environ, "XDG_RUNTIME_DIR": str(folder), "GRADCLI_SERVER": "off"}
        if not SCRIPT.exists():
            self._env["PYTHONPATH"] = str(ROOT)
        self.run([PYTHON, "-c", programs.FILES])

    def run(
        self, command: Sequence[str], more: Mapping[str, str] | None = None
    ) -> tuple[float, float]:
        """Seconds and MiB of one whole run: its wall time, and the most memory that one of its
        processes had.
        """
        env = {**self._env, **(more or {})}
        with tempfile.TemporaryFile() as out:
            start = time.perf_counter()
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, cwd=self._folder
            )
            _, status, used = os.wait4(process.pid, 0)
            elapsed = time.perf_counter() - start
            process.returncode = os.waitstatus_to_exitcode(status)
            out.seek(0)
            if process.returncode not in (0, 2):
                raise SystemExit(
                    f"{command} ended with {process.returncode}: {out.read().decode(errors='replace')}"
                )
        return elapsed, used.ru_maxrss / 1024

    @contextmanager
    def server(self) -> Iterator[None]:
        """A server for the warm rows."""
        self.run([*GRADCLI, "server", "start"])
        try:
            yield
        finally:
            self.run([*GRADCLI, "server", "stop"])


def compared(
    name: str,
    against: str,
    ours: Sequence[float],
    theirs: Sequence[float],
    target: float | None,
    figure: str,
) -> Measured:
    """The ratio of the medians, and the lowest and highest of those round by round."""
    ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
    first, second = statistics.median(ours), statistics.median(theirs)
    return Measured(
        name, against, figure, first, second, first / second, min(ratios), max(ratios), target
    )


def measured(row: Row, machine: Machine, rounds: int, peer: Sequence[str] = ()) -> Measured:
    """Run a row's two programs in turn, once uncounted and then `rounds` times."""
    interpreter = machine.bare if row.program == programs.PASS else PYTHON
    theirs = peer or [interpreter, "-c", row.program]
    more = dict(
        [("GRADCLI_SERVER", "" if row.warm else "off"), *([row.variable] if row.variable else [])]
    )
    pairs = [
        (machine.run([*GRADCLI, *row.words], more), machine.run(theirs)) for _ in range(rounds + 1)
    ][1:]
    which = 0 if row.figure == "s" else 1
    return compared(
        row.name,
        row.against,
        [a[which] for a, _ in pairs],
        [b[which] for _, b in pairs],
        row.target,
        row.figure,
    )


def measured_batches(rounds: int) -> Iterator[Measured]:
    """The batch of 20,000 jobs in one process and in two, start-up left out on both sides."""
    found = batch.ratios(rounds=rounds)
    for name, target in (("batch", 1.7), ("batch --jobs 2", 1.1)):
        yield compared(
            f"{name}, 20,000 jobs", "the bare PyTorch loop", found[name], found["bare"], target, "s"
        )


def measured_peers(python: str, machine: Machine, rounds: int) -> Iterator[Measured]:
    """A warm and a cold call beside what one would use instead."""
    for name, program in peers.programs(python).items():
        for warm in (True, False):
            row = Row("warm grad" if warm else "cold grad", GRAD, program, name, 0.0, warm=warm)
            found = measured(
                row, machine, rounds, [PYTHON if name == "PyTorch" else python, "-c", program]
            )
            yield Measured(**{**asdict(found), "target": None})


def the_machine() -> str:
    """What was measured on, in a line."""
    import numpy
    import torch

    return (
        f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"PyTorch {torch.__version__}, NumPy {numpy.__version__}"
    )


def table(found: Sequence[Measured], title: str) -> Table:
    """The measured rows as one draws them."""
    drawn = Table(title=title, title_justify="left")
    for heading in ("what", "against"):
        drawn.add_column(heading)
    for heading in ("ours", "theirs", "ratio", "spread", "target"):
        drawn.add_column(heading, justify="right", no_wrap=True)
    drawn.add_column("")
    for one in found:
        digits = 3 if one.figure == "s" else 0
        target = "" if one.target is None else f"{one.target:.3g}"
        figures = [f"{figure:.{digits}f} {one.figure}" for figure in (one.ours, one.theirs)]
        spread = f"{one.lowest:.3g} - {one.highest:.3g}"
        drawn.add_row(
            one.name, one.against, *figures, f"{one.ratio:.3g}", spread, target, one.verdict
        )
    return drawn


def main() -> int:
    """Measure the rows that are asked for, print them, and return 1 where a target is missed."""
    parser = argparse.ArgumentParser(description="whole commands against whole programs")
    parser.add_argument("rows", nargs="*", help="parts of the names of rows (all unless given)")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--peers", metavar="PYTHON", help="a Python that has the group `peers`")
    arguments = parser.parse_args()

    def wanted(name: str) -> bool:
        return not arguments.rows or any(part in name for part in arguments.rows)

    found: list[Measured] = []
    with tempfile.TemporaryDirectory(prefix="g") as folder:
        machine = Machine(Path(folder))
        with machine.server():
            found += [measured(row, machine, arguments.rounds) for row in ROWS if wanted(row.name)]
            if arguments.peers:
                found += measured_peers(arguments.peers, machine, arguments.rounds)
        if wanted("batch"):
            found += measured_batches(max(1, arguments.rounds // 5))
    if arguments.json:
        print(
            json.dumps(
                {
                    "machine": the_machine(),
                    "rows": [{**asdict(one), "verdict": one.verdict} for one in found],
                }
            )
        )
    else:
        Console(width=140).print(table(found, the_machine()))
    return int(any(one.verdict == "MISSED" for one in found))


if __name__ == "__main__":
    sys.exit(main())
