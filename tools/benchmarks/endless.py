"""Streams jobs into `gradcli batch` and tells the memory of its processes early and at the end: it
must not grow.

    python -m tools.benchmarks.endless [--jobs 1000000] [--early 10000] [--processes 1]

The jobs are those of `tools.benchmarks.jobs`, half of them with an expression text of its own,
made while they are sent.
"""

import argparse
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from tools.benchmarks import measure
from tools.benchmarks.jobs import jobs

ROOT = Path(__file__).parent.parent.parent
ROUND = 2_000
"""Jobs that are made at a time."""


def lines(count: int) -> Iterator[bytes]:
    """So many jobs, all different."""
    for start in range(0, count, ROUND):
        size = min(ROUND, count - start)
        both = zip(jobs(size, "few", start), jobs(size, "all", start), strict=True)
        for job in list(chain.from_iterable(both))[:size]:
            yield json.dumps(job).encode() + b"\n"


def memory(pid: int) -> list[int]:
    """The resident memory of a process and of its descendants, in MiB."""
    return [process["Rss"] >> 20 for process in measure.memory(pid)]


def run(count: int, early: int, processes: int) -> tuple[list[int], list[int], float]:
    """The memory after `early` answers and after all of them, and the seconds in between."""
    command = [sys.executable, "-m", "gradcli", "batch", "--jobs", str(processes)]
    env = {"GRADCLI_SERVER": "off"}
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT, env=env
    ) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None
        assert stdout is not None

        def send() -> None:
            for line in lines(count):
                stdin.write(line)
            stdin.flush()  # and left open: the processes shall still be there when the last answer has come

        sender = threading.Thread(target=send)
        sender.start()
        answers = iter(stdout.readline, b"")
        for _ in range(early):
            next(answers)
        start, before = time.monotonic(), memory(process.pid)
        for _ in range(count - early):
            next(answers)
        elapsed, after = time.monotonic() - start, memory(process.pid)
        sender.join()
    return before, after, elapsed


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description="the memory of gradcli batch over many jobs")
    parser.add_argument("--jobs", type=int, default=1_000_000)
    parser.add_argument("--early", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=1)
    arguments = parser.parse_args()
    before, after, elapsed = run(arguments.jobs, arguments.early, arguments.processes)
    print("MiB of the parent, the fork server and each worker")
    print(f"after {arguments.early:,} jobs: {before}")
    print(f"after {arguments.jobs:,} jobs: {after}, {elapsed:.0f} s later")


if __name__ == "__main__":
    main()
