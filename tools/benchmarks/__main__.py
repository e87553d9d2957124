"""Every speed target beside what is measured here.

    python -m tools.benchmarks [--only ROW ...] [--rounds N] [--peers PYTHON]

The command and the program of a row run in turn, so that a machine that drifts drifts for both, and
what counts is the median of their ratios, pair by pair. A run of everything, about ten minutes, is
recorded in docs/benchmarks and shown in docs/performance.md. The exit status is 1 where a target is
missed.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from contextlib import chdir
from typing import Any

from docs import performance
from tools import imports
from tools.benchmarks import measure
from tools.benchmarks.rows import PEERS, ROWS, Row


def printed(row: Row, found: dict[str, Any]) -> dict[str, Any]:
    """The figures of a row, once they have been printed."""
    if "failed" in found:
        print(f"{row.title:58} {found['failed']}", flush=True)
    else:
        sides = f"{found['ours']:.3g} : {found['theirs']:.3g}" if row.program else ""
        others = f"{found['rounds']} pairs, other work had {found['others']} processors"
        print(f"{row.title:58} {performance.figure(row, found):34} {sides:16} {others}", flush=True)
    return found


def main() -> int:
    """Measure, print, record; returns the exit status."""
    parser = argparse.ArgumentParser(description="whole commands against whole programs")
    parser.add_argument(
        "--only", nargs="+", metavar="ROW", help="rows with these words in the name"
    )
    parser.add_argument(
        "--rounds", type=int, help="pairs of each row, instead of what fits in 12 s"
    )
    parser.add_argument(
        "--peers",
        metavar="PYTHON",
        type=os.path.abspath,
        help="a Python that has the group `peers`",
    )
    arguments = parser.parse_args()
    rows = [
        row
        for row in (*ROWS, *(PEERS if arguments.peers else ()))
        if not arguments.only or any(word in row.title for word in arguments.only)
    ]
    facts, stolen, start = measure.surroundings(), measure.ticks()[1], time.perf_counter()
    print(performance.described(facts))
    with tempfile.TemporaryDirectory(prefix="g") as folder, chdir(folder):
        machine = measure.Machine(arguments.peers or "")

        def results(chosen: list[Row]) -> list[dict[str, Any]]:
            return [
                printed(row, measure.measured(row, machine, arguments.rounds)) for row in chosen
            ]

        lines = results([row for row in rows if row.after])
        with machine.server():
            lines += results([row for row in rows if not row.after])
    seconds = (measure.ticks()[1] - stolen) / measure.TICKS
    facts["stolen"] = round(seconds / (time.perf_counter() - start) / facts["cores"], 4)
    print(f"the machine's host gave {facts['stolen']:.1%} of the time to other guests")
    if not (arguments.only or arguments.rounds):
        record = [{"run": facts}, *lines, {"imports": imports.beside_torch()}]
        name = f"{facts['date'].replace(' ', '-').replace(':', '')}-{facts['commit']}.jsonl"
        path = performance.RECORDS / name
        path.write_text("".join(json.dumps(line) + "\n" for line in record), encoding="utf-8")
        performance.update()
        print(f"recorded in {path.relative_to(measure.ROOT)}, and shown in docs/performance.md")
    return int(any(map(performance.missed, rows, lines)))


if __name__ == "__main__":
    sys.exit(main())
