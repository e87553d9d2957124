"""Runs the program as its user does: words, pipes, variables, an exit status.

Loading PyTorch takes seconds, so `run` has its call made by a process that has it: `python -m
tests.program`, one for each process of pytest. That one has nothing else loaded, so that a fork of
it costs half of what a fork of pytest would. The child gets streams of its own, its own variables
and folder, and the whole program from `main` on. `cold` starts a fresh Python.
"""

import atexit
import contextlib
import faulthandler
import gc
import io
import json
import marshal
import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import IO, Any

import orjson

from gradcli import __main__ as entry
from gradcli.cli import main as program
from gradcli.cli.serve import PROGRAM
from gradcli.installed import torch_version
from gradcli.process import deferral
from gradcli.process.pool import LinesOfFile
from gradcli.process.worker import Progress
from gradcli.world import World

LARGE_PAGES = {"PYTHONMALLOC": "malloc", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
"""Memory in large pages, where the system has them: a third of the time for a fork."""
Streams = tuple[int, int, int]
Instead = Callable[[list[str]], int]
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TORCH = tuple(map(int, torch_version().split(".")[:2]))
"""The installed PyTorch, as (2, 13)."""
BASE = {
    "PATH": os.environ["PATH"],
    "LANG": "C.UTF-8",
    "PYTHONIOENCODING": "utf-8",
    "GRADCLI_SERVER": "off",
}


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


def fork() -> int:
    """os.fork of this process, which has the whole program loaded then, for `child`."""
    _loaded()
    return os.fork()


@cache
def _loaded() -> None:
    deferral.load()
    for _ in PROGRAM.load():
        pass


def run(
    *words: str,
    stdin: str | bytes = "",
    env: Mapping[str, str] | None = None,
    cwd: str | None = None,
    whole: bool = False,
    here: bool = False,
) -> Ran:
    """One call in a forked child, which has PyTorch loaded.

    The child is the worker itself, as one of the server's is; what it dies of is told by a second
    child, as the client does. With `whole` it is a cold call's parent, and has a worker of its own.
    With `here` it is forked from this process, with what a test has changed in it.
    """
    content = stdin.encode() if isinstance(stdin, str) else stdin
    call = words, content, {**BASE, **(env or {})}, cwd or os.getcwd(), whole
    if words[:1] in (("check",), ("why",)) or any(word.endswith(".pt") for word in words):
        here = True  # it needs all of PyTorch, which is loaded here
    out, err, status = _called(*call) if here else _asked(call)
    return Ran(out.decode(), err.decode(), status)


def _called(
    words: Sequence[str], stdin: bytes, env: Mapping[str, str], cwd: str, whole: bool
) -> tuple[bytes, bytes, int]:
    """What a call in a fork of this process writes on both streams, and its exit status."""
    progress = Progress()
    with (
        tempfile.TemporaryFile() as given,
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
    ):
        given.write(stdin)
        given.seek(0)
        call = words, (given.fileno(), out.fileno(), err.fileno()), env, cwd

        def work(arguments: list[str]) -> int:
            return program.run(arguments, World.current(), progress)

        def report(arguments: list[str]) -> int:
            return program.worker_died(arguments, World.current(), -status, progress.read())

        status = _forked(call, None if whole else work)
        if status < 0 and not whole:
            status = _forked(call, report)
        out.seek(0)
        err.seek(0)
        return out.read(), err.read(), status


@cache
def _caller() -> "subprocess.Popen[bytes]":
    """The process that makes the calls of this one. It ends when this one does."""
    words = ["tools.coverage"] if "GRADCLI_MARKS" in os.environ else []
    environ = {name: value for name, value in os.environ.items() if "TORCH" not in name}
    caller = subprocess.Popen(
        [sys.executable, "-m", *words, "tests.program"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        cwd=ROOT, env={**environ, **LARGE_PAGES}, start_new_session=True,
    )  # fmt: skip
    atexit.register(caller.communicate)  # which closes its input and waits for its end
    return caller


def _asked(call: tuple[Any, ...]) -> tuple[bytes, bytes, int]:
    """The same as `_called`, by the process that makes the calls."""
    caller = _caller()
    assert caller.stdin
    assert caller.stdout
    try:
        marshal.dump(call, caller.stdin)
        caller.stdin.flush()
        return marshal.load(caller.stdout)  # type: ignore[no-any-return]
    except (
        BaseException
    ):  # a time limit of pytest's too: the next answer would be that of this call
        caller.kill()
        _caller.cache_clear()
        raise


def _serve(calls: IO[bytes], answers: IO[bytes]) -> None:
    """Make the calls that are asked for until nobody asks any more."""
    _loaded()
    sys.modules["torch"].set_num_threads(1)  # a pool of threads does not survive a fork
    for words in PROGRAM.calls:
        PROGRAM.try_out(words)
    import_module("gradcli.show.pictures.drawing")  # matplotlib, which a server does not load
    import_module("matplotlib.backends.backend_svg")
    gc.freeze()  # a collection in a child would write to every object, and so copy every page
    with contextlib.suppress(EOFError):
        while True:
            call = marshal.load(calls)
            with warnings.catch_warnings(action="error"):  # as in pytest
                marshal.dump(_called(*call), answers)
            answers.flush()


def _forked(
    call: tuple[Sequence[str], Streams, Mapping[str, str], str | None], instead: Instead | None
) -> int:
    """The exit status of a call in a child, or the signal that it died of as a negative number."""
    pid = fork()
    if pid == 0:
        child(*call, instead)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


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
        faulthandler.disable()  # of pytest, which writes to the screen of the tests
        atexit._clear()  # a program that is run until its end ends nothing of the tests
        sys.excepthook = sys.__excepthook__
        encoding = env.get("PYTHONIOENCODING") or "utf-8"
        sys.stdin = open(0, encoding=encoding, closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", encoding=encoding, closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", 1, encoding, "backslashreplace", closefd=False)  # noqa: SIM115
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
    """What a PyTorch program prints, run in this process; what it changes of PyTorch is put
    back.
    """
    import torch

    from gradcli.evaluate.job import once_more

    out = io.StringIO()
    with once_more(torch.get_default_dtype()), contextlib.redirect_stdout(out):
        exec(compile(program, "<program>", "exec"), {})
    return out.getvalue()


def cold(
    *words: str, stdin: str = "", env: Mapping[str, str] | None = None, cwd: str | None = None
) -> Ran:
    """One call in a fresh Python, as a shell starts it."""
    command = [sys.executable, "-m", "gradcli", *words]
    home = {
        "HOME": os.environ.get("HOME", "/"),
        "PYTHONPATH": ROOT,
    }
    done = subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        env={**BASE, **home, **(env or {})},
        cwd=cwd,
        check=False,
    )
    return Ran(done.stdout, done.stderr, done.returncode)


def lines_of(jobs: Iterable[Mapping[str, Any]]) -> LinesOfFile:
    """The jobs as a batch reads them."""
    with tempfile.TemporaryFile() as file:
        file.writelines(json.dumps(job).encode() + b"\n" for job in jobs)
        file.seek(0)
        return LinesOfFile(os.dup(file.fileno()))


if __name__ == "__main__":
    _serve(sys.stdin.buffer, sys.stdout.buffer)
