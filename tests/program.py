"""Runs the program as its user does: words, pipes, variables, an exit status.

Loading PyTorch takes seconds, so `run` forks from a process that has it, as the server does; the child gets real
pipes, its own variables and folder, and the whole program from `main` on. `cold` starts a fresh Python.

What is forked is a process of its own, made before the tests are loaded: a fork takes as long as its process is large.
"""

import contextlib
import gc
import importlib
import io
import marshal
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import orjson
import torch

from gradcli import __main__ as entry
from gradcli.cli import program
from gradcli.cli.commands import COMMANDS
from gradcli.compute.door import open_wide
from gradcli.compute.job import once_more
from gradcli.supervise import Progress
from gradcli.world import World

WHOLE = (
    "cli.help",
    "cli.program",
    "cli.words",
    "code.programs",
    "compute.door",
    "requests.check",
    "requests.plot",
    "show.contour",
    "show.door",
    "show.plot",
    "show.tables",
    "show.terminal",
)
for module in WHOLE:
    importlib.import_module(f"gradcli.{module}")  # the whole program, before any fork
for command in COMMANDS.values():
    assert command.request
open_wide()
torch.set_num_threads(1)  # a pool of threads does not survive a fork

Streams = tuple[int, int, int]
Call = tuple[list[str], dict[str, str], str, bool]
"""Words, variables, folder, and whether the child is a cold call's parent."""
Instead = Callable[[list[str]], int]
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


def run(
    *words: str,
    stdin: str | bytes = "",
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    whole: bool = False,
    here: bool = False,
) -> Ran:
    """One call in a child forked from a process that has PyTorch loaded.

    The child is the worker itself, as one of the server's is; what it dies of is told by a second child, as the client does.
    With `whole` it is a cold call's parent, and has a worker of its own. With `here` it is forked from this very process, and
    has what a test has changed in it.
    """
    content = stdin.encode() if isinstance(stdin, str) else stdin
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(content)
        given.seek(0)
        call = list(words), {**BASE, **(env or {})}, cwd or os.getcwd(), whole
        streams = given.fileno(), out.fileno(), err.fileno()
        large = sum(map(len, words)) > _FORKS.LARGEST
        status = _answered(call, streams) if here or large else _FORKS.ask(call, streams)
        out.seek(0)
        err.seek(0)
        return Ran(out.read().decode(), err.read().decode(), status)


run_here = partial(run, here=True)


def _answered(call: Call, streams: Streams) -> int:
    """The exit status of a call in a child of this process, or the signal that it died of as a negative number."""
    words, env, cwd, whole = call
    progress = Progress()

    def work(arguments: list[str]) -> int:
        return program.run(arguments, World.current(), progress)

    def bury(arguments: list[str]) -> int:
        return program.bury(arguments, World.current(), -status, progress.where())

    status = _forked(words, streams, env, cwd, None if whole else work)
    if status < 0 and not whole:
        status = _forked(words, streams, env, cwd, bury)
    progress.close()
    return status


def _forked(words: Sequence[str], streams: Streams, env: Mapping[str, str], cwd: str, instead: Instead | None) -> int:
    pid = os.fork()
    if pid == 0:
        child(words, streams, env, cwd, instead)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


class _Forks:
    """A process that has what a call needs and nothing else, and answers one call after the other."""

    LARGEST = 50_000
    """Characters of words that surely fit into one message."""

    def __init__(self) -> None:
        self._asking = threading.Lock()
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            self._socket.close()
            self._serve(theirs)
        theirs.close()

    def ask(self, call: Call, streams: Streams) -> int:
        """The status of a call. A test that is stopped while it waits leaves an answer behind, which the number tells apart."""
        with self._asking:
            number = time.monotonic_ns()
            socket.send_fds(self._socket, [marshal.dumps((number, call))], streams)
            while True:
                answered, status = marshal.loads(self._socket.recv(100))
                if answered == number:
                    return int(status)

    def _serve(self, inlet: socket.socket) -> NoReturn:
        try:
            usual_signals()
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is for the tests, with which this process ends
            gc.freeze()
            while (received := socket.recv_fds(inlet, 1 << 20, 3))[0]:
                content, streams, _, _ = received
                number, call = marshal.loads(content)
                status = _answered(call, (streams[0], streams[1], streams[2]))
                for fd in streams:
                    os.close(fd)
                inlet.send(marshal.dumps((number, status)))
        finally:
            os._exit(0)


def child(
    words: Sequence[str],
    streams: Streams,
    env: Mapping[str, str],
    cwd: str | None,
    instead: Instead | None = None,
    seconds: int = 100,
) -> None:
    """Be the program, called with these words on these streams; never returns.

    `instead` is what to do instead of the cold program, parent and worker.
    """
    status = 99
    try:
        if instead is not None:
            entry._cold = instead  # type: ignore[assignment]
        for target, fd in enumerate(streams):
            os.dup2(fd, target)
        os.environ.clear()
        os.environ.update(env)
        if cwd:
            os.chdir(cwd)
        signal.alarm(seconds)
        usual_signals()
        encoding = env.get("PYTHONIOENCODING") or "utf-8"
        sys.stdin = open(0, encoding=encoding, closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", encoding=encoding, closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", encoding=encoding, errors="backslashreplace", closefd=False)  # noqa: SIM115
        sys.argv = ["gradcli", *words]
        status = entry.main()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def usual_signals() -> None:
    """Signals as a shell hands them on; a test run in the background has some of them ignored."""
    for number in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def printed(program: str) -> str:
    """What a PyTorch program prints, run in this process; what it changes of PyTorch is put back."""
    out = io.StringIO()
    with once_more(torch.get_default_dtype()), contextlib.redirect_stdout(out):
        exec(compile(program, "<program>", "exec"), {})
    return out.getvalue()


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


_FORKS = _Forks()
