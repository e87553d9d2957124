"""Times `gradcli batch` against the bare PyTorch program that does the same jobs, imports left out.

    python -m tools.benchmarks.batch [--jobs 20000] [--rounds 3] [--texts few|all]

Whole processes run in turn. What each takes for a single job is subtracted, so that imports are
left out (a batch without any job would not even wait for them). With texts `all` every expression
is a text of its own, so that none is ever parsed twice.
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent.parent
PYTHON = sys.executable

BARE = """
import json, sys
import torch
import torch.nn.functional as F

softmax, tanh, sigmoid = torch.softmax, torch.tanh, torch.sigmoid
KNOWN = {
    "mse(w*x + b, y)": lambda x, w, b, y: F.mse_loss(w * x + b, y),
    "sigmoid(w*x).sum()": lambda x, w: torch.sigmoid(w * x).sum(),
    "(x**2).sum()": lambda x: (x**2).sum(),
    "softmax(a)[1]": lambda a: torch.softmax(a, -1)[1],
    "tanh(w @ x).sum()": lambda w, x: torch.tanh(w @ x).sum(),
    "log(1 + exp(-y*(w*x)))": lambda y, w, x: torch.log(1 + torch.exp(-y * (w * x))),
}
FN = {
    "mse": lambda x, w, b, y: F.mse_loss(x * w + b, y),
    "sigmoid": lambda x, w, b, y: torch.sigmoid(x * w + b),
}
NAMES = {"torch": torch, "mse": F.mse_loss, "sigmoid": torch.sigmoid, "tanh": torch.tanh, "exp": torch.exp,
         "log": torch.log, "softmax": lambda a: torch.softmax(a, -1)}


def leaf(value):
    return torch.tensor(value, dtype=torch.float32, requires_grad=True)


for line in sys.stdin:
    job = json.loads(line)
    if "fn" in job:
        leaves = {name: leaf(job[name]) for name in ("x", "w") if name in job}
        b = torch.tensor(job.get("b", 0.0))
        y = torch.tensor(job["y"]) if "y" in job else torch.ones(())
        value = FN[job["fn"]](leaves["x"], leaves.get("w", 1.0), b, y)
    else:
        leaves = {name: leaf(number) for name, number in job["inputs"].items()}
        known = KNOWN.get(job["expression"])
        value = known(**leaves) if known else eval(job["expression"], NAMES, leaves)
    gradients = torch.autograd.grad(value, list(leaves.values()))
    found = {name: gradient.tolist() for name, gradient in zip(leaves, gradients)}
    print(json.dumps({"id": job["id"], "value": value.item(), "gradients": found}))
"""
"""The bare program: each line by the standard library's json, plain leaves, one call of
autograd.grad, one printed line."""


def jobs(count: int, texts: str = "few", first: int = 0) -> list[dict[str, Any]]:
    """So many small grad jobs, all different: numbers, vectors and matrices in a handful of
    expressions, and --fn.

    With texts `all` constants stand in each expression, so that every text is different too. The
    jobs are numbered from `first`, and different for each.
    """
    draw = random.Random(first)

    def number() -> float:
        return round(draw.uniform(-2, 2), 4)

    def vector(size: int) -> list[float]:
        return [number() for _ in range(size)]

    def job(i: int) -> dict[str, Any]:
        n = draw.randint(2, 5)
        few = (
            {"fn": "mse", "x": number(), "w": number()},
            {"fn": "sigmoid", "x": number(), "w": number(), "b": number()},
            {
                "expression": "mse(w*x + b, y)",
                "inputs": {"x": vector(n), "w": number(), "b": number(), "y": vector(n)},
            },
            {"expression": "sigmoid(w*x).sum()", "inputs": {"x": vector(n), "w": vector(n)}},
            {"expression": "(x**2).sum()", "inputs": {"x": [vector(n) for _ in range(2)]}},
            {"expression": "softmax(a)[1]", "inputs": {"a": vector(n)}},
            {
                "expression": "tanh(w @ x).sum()",
                "inputs": {"w": [vector(n) for _ in range(3)], "x": vector(n)},
            },
            {
                "expression": "log(1 + exp(-y*(w*x)))",
                "inputs": {"y": number(), "w": number(), "x": number()},
            },
        )
        different = (
            {
                "expression": f"mse({number()}*w*x + 0.{i}, y)",
                "inputs": {"x": vector(n), "w": number(), "y": vector(n)},
            },
            {
                "expression": f"sigmoid(w*x + 0.{i}).sum()",
                "inputs": {"x": vector(n), "w": vector(n)},
            },
            {"expression": f"({number()}*x**2 + 0.{i}*x).sum()", "inputs": {"x": vector(n)}},
            {"expression": f"log(1.{i} + exp(-y*x))", "inputs": {"y": number(), "x": number()}},
        )
        chosen = few if texts == "few" else different
        return {"id": i, "command": "grad", **chosen[i % len(chosen)]}

    return [job(i) for i in range(first, first + count)]


def seconds(command: Sequence[str], stdin: Path) -> float:
    """The wall time of a whole process that reads a file."""
    with stdin.open("rb") as given, tempfile.TemporaryFile() as out:
        start = time.perf_counter()
        subprocess.run(
            command, stdin=given, stdout=out, check=True, env={"GRADCLI_SERVER": "off"}, cwd=ROOT
        )
        return time.perf_counter() - start


def ratios(count: int = 20_000, rounds: int = 3, texts: str = "few") -> dict[str, list[float]]:
    """The seconds of the bare program, of one process and of `--jobs 2`, start-up left out, round
    by round.

    Divide by `bare` of the same round: that is the ratio.
    """
    ours = [PYTHON, "-m", "gradcli", "batch"]
    programs = {
        "bare": [PYTHON, "-c", BARE],
        "batch": ours,
        "batch --jobs 2": [*ours, "--jobs", "2"],
    }
    found: dict[str, list[float]] = {name: [] for name in programs}
    with tempfile.TemporaryDirectory() as folder:
        one, whole = Path(folder) / "one", Path(folder) / "whole"
        lines = [json.dumps(job) + "\n" for job in jobs(count, texts)]
        one.write_text(lines[0])
        whole.write_text("".join(lines))
        for _ in range(rounds):
            for name, command in programs.items():
                found[name].append(seconds(command, whole) - seconds(command, one))
    return found


def main() -> None:
    """Measure, and print the ratios."""
    parser = argparse.ArgumentParser(description="gradcli batch against the bare PyTorch program")
    parser.add_argument("--jobs", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--texts", choices=("few", "all"), default="few")
    arguments = parser.parse_args()
    found = ratios(arguments.jobs, arguments.rounds, arguments.texts)
    bare = found.pop("bare")
    print(f"bare: {statistics.median(bare):.2f} s for {arguments.jobs:,} jobs")
    for name, times in found.items():
        each = [ours / theirs for ours, theirs in zip(times, bare, strict=True)]
        print(
            f"{name}: {statistics.median(each):.2f} times that ({min(each):.2f} to {max(each):.2f})"
        )


if __name__ == "__main__":
    main()
