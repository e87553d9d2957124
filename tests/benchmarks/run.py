"""Times whole gradcli commands against whole `python -c` programs, run in turn, and prints the ratios beside their targets.

    python -m tests.benchmarks.run [--rounds 11] [--json] [ROW ...]

Each round runs every program of a row once, so that a machine that drifts drifts for all of them. The ratio is that of the
medians; the spread is that of the ratios round by round. `python -c pass` runs in a bare environment when one is given by
BARE_PYTHON.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent.parent
PYTHON = sys.executable
BARE = os.environ.get("BARE_PYTHON", PYTHON)
SCRIPT = Path(PYTHON).parent / "gradcli"
GRADCLI = [str(SCRIPT)] if SCRIPT.exists() else [PYTHON, "-m", "gradcli"]

MSE = """
import torch
import torch.nn.functional as F
x = torch.tensor(1.0, requires_grad=True)
w = torch.tensor(2.0, requires_grad=True)
loss = F.mse_loss(x * w, torch.ones(()))
print(loss.item(), *torch.autograd.grad(loss, [x, w]))
"""
JACREV = """
import torch
torch.manual_seed(0)
W, x = torch.randn({n}, {n}), torch.randn({n})
J = torch.func.jacrev(lambda x: torch.sigmoid(W @ x))(x)
print(J.shape, J.sum().item())
"""
PASS = [BARE, "-c", "pass"]
TYPER = [PYTHON, "-c", "import typer, rich.table"]


@dataclass(frozen=True)
class Row:
    """One line of the table: a command, the program it is compared with, and the ratio that it must reach."""

    name: str
    command: Sequence[str]
    peer: Sequence[str]
    peer_name: str
    target: float
    env: Mapping[str, str] = MappingProxyType({})


def jacobian(n: int, *more: str) -> list[str]:
    """The command that computes the same Jacobian as JACREV."""
    return [*GRADCLI, "jacobian", "sigmoid(W @ x)", f"W=randn({n},{n})", f"x=randn({n})", "--wrt", "x", *more]


ROWS = [
    Row(
        "grad, cold",
        [*GRADCLI, "grad", "--fn", "mse", "--x", "1", "--w", "2"],
        [PYTHON, "-c", MSE],
        "the same in PyTorch",
        0.90,
    ),
    Row("--version", [*GRADCLI, "--version"], PASS, "python -c pass", 1.5),
    Row("--help", [*GRADCLI, "--help"], TYPER, "import typer, rich.table", 2.0),
    Row("grad --help", [*GRADCLI, "grad", "--help"], TYPER, "import typer, rich.table", 2.0),
    Row(
        "completion",
        [*GRADCLI, "grad", "--fn", "m"],
        TYPER,
        "import typer, rich.table",
        1.8,
        {"_GRADCLI_COMPLETE": "zsh"},
    ),
    Row("usage error", [*GRADCLI, "grad", "--nonsense"], TYPER, "import typer, rich.table", 1.5),
    Row(
        "grad EXPR, cold",
        [*GRADCLI, "grad", "mse(w*x, 1+0*x)", "x=1", "w=2"],
        [PYTHON, "-c", MSE],
        "the same in PyTorch",
        0.90,
    ),
    Row("jacobian 3 x 3, cold", jacobian(3), [PYTHON, "-c", JACREV.format(n=3)], "jacrev", 0.8),
    Row("jacobian 1,000 x 1,000", jacobian(1000), [PYTHON, "-c", JACREV.format(n=1000)], "jacrev", 1.2),
]


def seconds(command: Sequence[str], more: Mapping[str, str], status: Sequence[int] = (0, 2)) -> float:
    """The wall time of one whole run with these variables more."""
    env = {**os.environ, **more, "GRADCLI_SERVER": "off", "PYTHONPATH": "" if SCRIPT.exists() else str(ROOT)}
    with tempfile.TemporaryFile() as out:
        start = time.perf_counter()
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=env, check=False)
        elapsed = time.perf_counter() - start
    if done.returncode not in status:
        raise SystemExit(f"{command} failed with {done.returncode}")
    return elapsed


def measure(row: Row, rounds: int) -> dict[str, float | str]:
    """Run a row's two programs in turn, once uncounted and then `rounds` times."""
    seconds(row.command, row.env), seconds(row.peer, {})
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(seconds(row.command, row.env))
        theirs.append(seconds(row.peer, {}))
    ratios = sorted(a / b for a, b in zip(ours, theirs, strict=True))
    return {
        "name": row.name,
        "against": row.peer_name,
        "seconds": round(statistics.median(ours), 4),
        "peer_seconds": round(statistics.median(theirs), 4),
        "ratio": round(statistics.median(ours) / statistics.median(theirs), 3),
        "lowest": round(ratios[0], 3),
        "highest": round(ratios[-1], 3),
        "target": row.target,
    }


def main() -> None:
    """Measure the rows that are asked for, and print them."""
    parser = argparse.ArgumentParser(description="whole commands against whole programs")
    parser.add_argument("rows", nargs="*", help="parts of the names of rows (all unless given)")
    parser.add_argument("--rounds", type=int, default=11)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    chosen = [row for row in ROWS if not arguments.rows or any(part in row.name for part in arguments.rows)]
    found = [measure(row, arguments.rounds) for row in chosen]
    if arguments.json:
        print(json.dumps(found))
        return
    table = Table("command", "against", "s", "peer s", "ratio", "spread", "target", "")
    for row in found:
        kept = "ok" if float(row["ratio"]) <= float(row["target"]) else "MISSED"
        spread = f"{row['lowest']}-{row['highest']}"
        cells = (
            row["name"],
            row["against"],
            row["seconds"],
            row["peer_seconds"],
            row["ratio"],
            spread,
            row["target"],
            kept,
        )
        table.add_row(*map(str, cells))
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
