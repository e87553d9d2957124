"""Runs the program as its user does: words, pipes, variables, an exit status.

Loading PyTorch takes seconds, so `run` forks from a process that has it, as the warm start will; the child gets real
pipes, its own variables and folder, and the whole program from `main` on. `cold` starts a fresh Python.
"""

import importlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import torch

from gradcli.__main__ import main
from gradcli.cli.commands import COMMANDS
from gradcli.compute.door import open_wide

WHOLE = (
    "cli.help",
    "cli.program",
    "cli.words",
    "code.programs",
    "compute.door",
    "requests.check",
    "show.door",
    "show.tables",
    "show.terminal",
)
for module in WHOLE:
    importlib.import_module(f"gradcli.{module}")  # the whole program, before any fork
for command in COMMANDS.values():
    assert command.request
open_wide()
torch.set_num_threads(1)  # a pool of threads does not survive a fork

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BASE = {"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "PYTHONIOENCODING": "utf-8", "GRADCLI_SERVER": "off"}


@dataclass(frozen=True)
class Ran:
    """What one call left behind."""

    stdout: str
    stderr: str
    status: int

    @property
    def json(self) -> Any:
        """The JSON object on standard output."""
        assert self.status in (0, 1), self.stderr
        return orjson.loads(self.stdout)


def run(*words: str, stdin: str | bytes = "", env: Mapping[str, str] | None = None, cwd: str | None = None) -> Ran:
    """One call in a child forked from this process, which has PyTorch loaded."""
    content = stdin.encode() if isinstance(stdin, str) else stdin
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(content)
        given.seek(0)
        pid = os.fork()
        if pid == 0:
            child(words, (given.fileno(), out.fileno(), err.fileno()), {**BASE, **(env or {})}, cwd)
        _, status = os.waitpid(pid, 0)
        out.seek(0)
        err.seek(0)
        return Ran(out.read().decode(), err.read().decode(), os.waitstatus_to_exitcode(status))


def child(words: Sequence[str], streams: tuple[int, int, int], env: Mapping[str, str], cwd: str | None) -> None:
    """Be the program, called with these words on these streams; never returns."""
    status = 99
    try:
        for target, fd in enumerate(streams):
            os.dup2(fd, target)
        os.environ.clear()
        os.environ.update(env)
        if cwd:
            os.chdir(cwd)
        signal.alarm(100)
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background has it ignored
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        encoding = env["PYTHONIOENCODING"]
        sys.stdin = open(0, encoding=encoding, closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", encoding=encoding, closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding=encoding, errors="backslashreplace", closefd=False)  # noqa: SIM115
        sys.argv = ["gradcli", *words]
        status = main()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def cold(*words: str, stdin: str = "", env: Mapping[str, str] | None = None, cwd: str | None = None) -> Ran:
    """One call in a fresh Python, as a shell starts it."""
    command = [sys.executable, "-m", "gradcli", *words]
    home = {
        "HOME": os.environ.get("HOME", "/"),
        "PYTHONPATH": ROOT,
    }
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, env={**BASE, **home, **(env or {})}, cwd=cwd, check=False
    )
    return Ran(done.stdout, done.stderr, done.returncode)
