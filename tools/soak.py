"""The warm start under load: calls in crowds, killed and interrupted, and every documented example.

    python -m tools.soak calls [--number 10000]     random warm calls, eight at a time, while the server is killed and restarted
    python -m tools.soak equality                   documented examples, cold and warm, in pipes and on terminals

Each prints what it found and ends with 1 where something was not as it must be.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from gradcli.process.server import SPARES
from tests import program
from tests.program import Ran
from tests.warm import SURROUNDINGS, Server, on_a_terminal, until

WORDS: list[tuple[str, ...]] = [
    ("grad", "--fn", "mse", "--x", "1", "--w", "2"),
    ("grad", "--fn", "mse", "--x", "1", "--w", "2", "--json"),
    ("grad", "mse(w*x, y)", "x=1,2", "w=3", "y=1,1", "--get", "gradients.w"),
    ("grad", "s=sigmoid(W@x); (s*s).sum()", "W=randn(20,30)", "x=rand(30)", "--csv"),
    ("grad", "(randn(300, 300) @ randn(300, 300)).sum() * x", "x=1", "--seed", "7"),
    ("activate", "sigmoid", "gelu", "--x", "linspace(-5,5,1001)", "--json"),
    ("softmax-jacobian", "2,1,0.1", "--explain"),
    ("jacobian", "sigmoid(W @ x)", "W=randn(5,5)", "x=rand(5)", "--wrt", "x"),
    ("hessian", "(1-x)**2 + 100*(y-x**2)**2", "x=1", "y=1"),
    ("perceptron", "--train", "and", "--activation", "step", "--json"),
    ("grad", "2x", "x=1"),
    ("grad", "A @ x", "A=1,2;3,4", "x=1,2,3"),
    ("grad", "--help"),
    ("functions", "relu"),
]
LIVES = 4
"""Lives of the server, each but the last ended by SIGKILL."""


@dataclass
class Crowd:
    """Calls made by some at a time, each held against what a cold call prints."""

    server: Server
    draw: random.Random = field(default_factory=lambda: random.Random(0))
    found: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self.right = {words: program.run(*words, env=self.server.env) for words in WORDS}

    def call(self, _: int) -> None:
        """One random call; of twenty, one is killed and one interrupted, at a random moment."""
        with self.lock:
            words = self.draw.choice(WORDS)
            signum = self.draw.choices((0, signal.SIGKILL, signal.SIGINT), (90, 5, 5))[0]
            moment = self.draw.uniform(0, 0.06)
        process = self.server.start(*words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if signum:
            time.sleep(moment)
            process.send_signal(signum)
        try:
            out, err = process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            self.note("hung", words)
            return
        ran = Ran(out.decode(), err.decode(), process.returncode)
        if ran == self.right[words]:
            self.note("answered")
        elif (
            signum == signal.SIGINT
            and "KeyboardInterrupt" in ran.stderr
            and "gradcli" not in ran.stderr
        ):
            self.note("interrupted in Python's own start")
        elif (
            signum
            and ran == Ran(ran.stdout, ran.stderr, -signum)
            and self.right[words].stdout.startswith(ran.stdout)
        ):
            self.note("killed" if signum == signal.SIGKILL else "interrupted")
        else:
            self.note("wrong", words, repr(ran))

    def note(self, what: str, *more: object) -> None:
        with self.lock:
            self.found[what] += 1
            if more:
                self.wrong.append(f"{what}: {more}")


def calls(number: int, lives: int = LIVES) -> list[str]:
    """What went wrong in that many calls, eight at a time, while the server was killed and started
    again.
    """
    faults: list[str] = []
    with Server() as server:
        crowd = Crowd(server)
        for life in range(lives):
            until(lambda: len(server.processes()) == 1 + SPARES)
            before = _held(server)
            with ThreadPoolExecutor(8) as pool:
                answers = [pool.submit(crowd.call, i) for i in range(number // lives)]
                if life < lives - 1:
                    for answer in answers[: number // lives // 2]:
                        answer.result()
                    os.kill(
                        server.status["pid"], signal.SIGKILL
                    )  # with calls in hand and on their way
                    time.sleep(0.05)
                    assert server.run("server", "start").status == 0
                for answer in answers:
                    answer.result()
            if not until(lambda: len(server.processes()) == 1 + SPARES):
                faults.append(f"left running: {server.processes()}")
            until(lambda before=before: not _grown(before, _held(server)))  # connections close late
            after = _held(server)
            print(
                f"life {life + 1}: {dict(crowd.found)}; before {before}, after {after}", flush=True
            )
            if life == lives - 1:
                faults += _grown(before, after)
        zombies = [line for line in _listed() if f" {server.status['pid']} Z" in line]
        faults += [f"zombies: {zombies}"] if zombies else []
    return faults + crowd.wrong


LEEWAY = {"memory": 1.02, "descriptors": 1.0, "files": 1.0}
"""How much more the last server may have at the end of its calls than at their beginning."""


def _held(server: Server) -> dict[str, int]:
    """What a server has taken of the machine: bytes, descriptors, files in its folder."""
    found = server.status
    return {
        "memory": found["memory"],
        "descriptors": len(os.listdir(f"/proc/{found['pid']}/fd")),
        "files": sum(len(files) for _, _, files in os.walk(server.folder)),
    }


def _grown(before: dict[str, int], after: dict[str, int]) -> list[str]:
    return [
        f"{what} grew from {before[what]} to {after[what]}"
        for what in before
        if after[what] > LEEWAY[what] * before[what]
    ]


def _listed() -> list[str]:
    done = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,stat="], capture_output=True, text=True, check=True
    )
    return [" ".join(line.split()) for line in done.stdout.splitlines()]


def documented() -> Iterator[tuple[str, list[str]]]:
    """The gradcli commands of every page that stand alone, with the name of the page."""
    from tests.docs.test_docs import PAGES, commands_of

    for page in PAGES:
        for words in commands_of(page):
            yield page.name, words


def equality(number: int) -> list[str]:
    """Documented examples that differ, cold and warm, in a pipe and on terminals, in any
    surroundings.
    """
    faults, compared = [], 0
    with Server() as server:
        for page, words in list(documented())[:number]:
            for more in SURROUNDINGS:
                env = {**server.env, "TERM": "xterm-256color", **more}
                off = {**env, "GRADCLI_SERVER": "off"}
                pairs: list[tuple[object, object]] = [
                    (server.run(*words, env=env), program.run(*words, env=off, cwd=server.folder)),
                    *(
                        (
                            _on(words, columns, env, server),
                            _on(words, columns, off, server, fork=True),
                        )
                        for columns in (40, 80, 200)
                    ),
                ]
                compared += len(pairs)
                faults += [
                    f"{page}: {words} {more}\n{warm}\n{cold}"
                    for warm, cold in pairs
                    if warm != cold
                ]
    print(f"{compared} comparisons, {len(faults)} differ")
    return faults


def _on(
    words: Sequence[str], columns: int, env: dict[str, str], server: Server, *, fork: bool = False
) -> tuple[bytes, int]:
    shown, status = on_a_terminal(words, columns, env, server.folder, fork=fork)
    return re.sub(rb"\rstep \d+ of \d+", b"", shown), status  # which ones are seen depends on time


MODES = {"calls": (calls, 10_000), "equality": (equality, 100_000)}


def main() -> int:
    """Run one of the modes, and print what went wrong."""
    parser = argparse.ArgumentParser(description="the warm start under load")
    parser.add_argument("mode", choices=MODES)
    parser.add_argument("--number", type=int)
    arguments = parser.parse_args()
    run, usual = MODES[arguments.mode]
    begun = time.monotonic()
    faults = run(arguments.number or usual)
    print(f"{len(faults)} faults in {time.monotonic() - begun:.0f} s", *faults[:20], sep="\n")
    return min(1, len(faults))


if __name__ == "__main__":
    sys.exit(main())
