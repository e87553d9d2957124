"""Fuzzes every target in turn, and ends with 1 where something did not hold.

    python -m tools.fuzz [--seconds 60] [--seed 0] [--inputs N] [--jobs 2] [--only TARGET ...] [--block N]

What is drawn depends on the seed alone: the same seed gives the same inputs in the same order, and
time only says how many. A finding names its target and block; `--only TARGET --block N` runs that
block again.
"""

import argparse
import os
import resource
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import get_context
from typing import Any

import torch

from tools.fuzz import files, requests
from tools.fuzz.runners import Scratch
from tools.fuzz.shrinking import shrink
from tools.fuzz.targets import TARGETS, Target, results

SHOWN = 600
"""Characters of an input that are printed."""


@dataclass
class Block:
    """What became of one block of inputs."""

    target: str
    number: int
    seconds: float = 0.0
    verdicts: Counter[str] = field(default_factory=Counter)
    findings: dict[str, tuple[str, object]] = field(default_factory=dict)
    """By its kind, what failed first: the complaint and the smallest input known."""


@cache
def scratch(root: str = "") -> Scratch:
    """The folder of this process, in the folder of the run."""
    made = Scratch(tempfile.mkdtemp(prefix="gradcli-fuzz-", dir=root or None))
    files.furnish(made)
    torch.set_num_threads(1)  # a pool of threads does not survive a fork
    results()
    return made


_shrunk: set[tuple[str, str]] = set()
"""The targets and kinds of findings that this process has made small."""


def run_block(name: str, number: int, seed: int, root: str) -> Block:
    """Draw and run one block, and make small what fails in it."""
    target, block = TARGETS[name], Block(name, number)
    begun = time.monotonic()
    chance = requests.seeded(seed, name, number)
    given = [target.draw(chance, place) for place in range(target.size)]
    place = scratch(root)
    for one, verdict in zip(given, target.run(given, place), strict=True):
        if not verdict.startswith("!"):
            block.verdicts[verdict] += 1
            continue
        kind = _kind(verdict)
        block.verdicts[kind] += 1
        if (name, kind) not in _shrunk:
            _shrunk.add((name, kind))
            block.findings[kind] = (verdict, _smallest(target, given, one, kind, place))
    block.seconds = time.monotonic() - begun
    return block


def _kind(verdict: str) -> str:
    """What findings that are most likely one have in common."""
    return (
        "".join(char for char in verdict.partition(": ")[0] if not char.isdigit())
        + verdict.partition(": ")[2][:40]
    )


def _smallest(target: Target, given: list[Any], one: Any, kind: str, place: Scratch) -> object:
    """The smallest input known that fails so: of the one input, or where that does not fail alone,
    of the block.
    """

    def fails(candidate: Any) -> bool:
        return kind in map(_kind, target.run([candidate], place))

    if fails(one):
        return shrink(one, fails)
    return shrink(
        given,
        lambda block: isinstance(block, list) and kind in map(_kind, target.run(block, place)),
    )


def schedule(names: list[str]) -> Iterator[tuple[str, int]]:
    """The blocks in their order for ever: each target gets its share of all inputs."""
    done = dict.fromkeys(names, 0)
    while True:
        name = min(
            names, key=lambda each: (done[each] + 1) * TARGETS[each].size / TARGETS[each].share
        )
        yield name, done[name]
        done[name] += 1


def main() -> int:
    parser = argparse.ArgumentParser(description="fuzzes gradcli")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--inputs", type=int, default=sys.maxsize, help="end after as many")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--jobs",
        type=int,
        default=len(os.sched_getaffinity(0)),
        help="processes; one per processor",
    )
    parser.add_argument(
        "--only",
        nargs="*",
        choices=TARGETS,
        default=[*TARGETS],
        metavar="TARGET",
        help=", ".join(TARGETS),
    )
    parser.add_argument("--block", type=int, help="this block of each target alone")
    asked = parser.parse_args()
    blocks = (
        iter([(name, asked.block) for name in asked.only])
        if asked.block is not None
        else schedule(asked.only)
    )
    begun, inputs = time.monotonic(), 0
    found: dict[str, Block] = {}
    spent: dict[str, float] = defaultdict(float)
    findings = 0
    with (
        tempfile.TemporaryDirectory(prefix="gradcli-fuzz-") as root,
        ProcessPoolExecutor(asked.jobs, mp_context=get_context("fork")) as pool,
    ):
        running: set[Future[Block]] = set()
        while True:
            while (
                len(running) < asked.jobs
                and time.monotonic() < begun + asked.seconds
                and inputs < asked.inputs
            ):
                if (block := next(blocks, None)) is None:
                    break
                running.add(pool.submit(run_block, *block, asked.seed, root))
                inputs += TARGETS[block[0]].size
            if not running:
                break
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                report = future.result()
                findings += _told(report, found)
                spent[report.target] += report.seconds
    _summary(found, spent, time.monotonic() - begun, findings, asked.seed)
    return min(1, findings)


def _told(block: Block, found: dict[str, Block]) -> int:
    """Print what a block found that none before it did; how many that is."""
    known = found.setdefault(block.target, Block(block.target, 0))
    known.verdicts += block.verdicts
    new = {kind: finding for kind, finding in block.findings.items() if kind not in known.findings}
    known.findings |= new
    for verdict, given in new.values():
        print(
            f"FOUND in {block.target}, block {block.number}: {verdict[1:]}\n    {given!r}"[:SHOWN],
            flush=True,
        )
    return len(new)


def _summary(
    found: dict[str, Block], spent: dict[str, float], seconds: float, findings: int, seed: int
) -> None:
    total = 0
    for name, block in found.items():
        count = block.verdicts.total()
        total += count
        counted = ", ".join(
            f"{verdict} {number:,}" for verdict, number in block.verdicts.most_common()
        )
        print(f"{name}: {count:,} inputs at {count / spent[name]:,.0f} a second: {counted}")
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    processor = sum(each.ru_utime + each.ru_stime for each in used)
    peak = max(each.ru_maxrss for each in used) / 1024
    print(
        f"{total:,} inputs in {seconds:.0f} s, {processor:.0f} s of processor time, with seed {seed}: {findings} findings"
    )
    print(f"the largest process took {peak:,.0f} MiB")


if __name__ == "__main__":
    sys.exit(main())
