"""Runs the program as its user does: words, pipes, variables, an exit status.

Loading PyTorch takes seconds, so `run` has its call made by a process that has it: `python -m
tests.program`, one for each process of pytest. That one has nothing else loaded, so that a fork of
it costs half of what a fork of pytest would. A call gets streams, variables and a folder of its
own, and the whole program from `main` on. One fork makes many calls in turn, until one of them
ends it: a fork for each, as a server has it, would copy two thousand pages of memory. `cold` starts
a fresh Python.
"""

import atexit
import contextlib
import faulthandler
import gc
import io
import json
import marshal
import os
import resource
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import IO, Any, NoReturn, ParamSpec

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
PICTURES = (
    "gradcli.show.pictures.figure", "matplotlib.style",
    *(f"matplotlib.backends.backend_{form}" for form in ("agg", "pdf", "svg")),
)  # fmt: skip
"""What pictures need, and a server does not load."""
CALLS_HERE = False
"""Whether `run` makes every call in a fork of this process, with what was changed in it."""
THREADS = len(os.sched_getaffinity(0))
"""Threads of a cold call."""
CALLS = 200
"""Calls that one fork makes at most."""
Streams = tuple[int, int, int]
Instead = Callable[[list[str]], int]
P = ParamSpec("P")
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


def load_all_of_pytorch() -> None:
    """Load PyTorch as programs do, and what they use of it: the first optimizer takes seconds."""
    import torch
    import torch.func
    import torch.utils.checkpoint

    torch.set_num_threads(1)  # a pool of threads does not survive a fork
    torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1).step()


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
    users = words[:1] in (("check",), ("why",)) or any(word.endswith(".pt") for word in words)
    out, err, status = _called(*call) if here or CALLS_HERE else _asked(call, all_of_pytorch=users)
    return Ran(out.decode(), err.decode(), status)


@cache
def _streams() -> Streams:
    """Standard input, output and error of the calls that this process makes: files without names."""
    files = [tempfile.mkstemp() for _ in range(3)]
    for _, path in files:
        os.unlink(path)
    given, out, err = (stream for stream, _ in files)
    return given, out, err


def _fill(stdin: bytes) -> None:
    """Put this on standard input, and nothing on the other streams."""
    for stream, content in zip(_streams(), (stdin, b"", b""), strict=True):
        os.truncate(stream, 0)
        os.pwrite(stream, content, 0)
        os.lseek(stream, 0, os.SEEK_SET)


def _written() -> tuple[bytes, bytes]:
    """What is on standard output and on standard error."""
    out, err = (os.pread(stream, os.fstat(stream).st_size, 0) for stream in _streams()[1:])
    return out, err


def _called(
    words: Sequence[str], stdin: bytes, env: Mapping[str, str], cwd: str, whole: bool
) -> tuple[bytes, bytes, int]:
    """What a call in a fork of this process writes on both streams, and its exit status."""
    progress = Progress()
    call = words, _streams(), env, cwd
    _fill(stdin)
    status = _forked(call, None if whole else _worker(progress))
    if status < 0 and not whole:
        status = _forked(call, _client(-status, progress))
    return *_written(), status


def _worker(progress: Progress) -> Instead:
    """What a worker of the server does with a call."""
    return lambda words: program.run(words, World.current(), progress)


def _client(signum: int, progress: Progress) -> Instead:
    """What the client does once the worker has died of a signal."""
    return lambda words: program.worker_died(words, World.current(), signum, progress.read())


class _Worker:
    """A fork of this process that makes one call after the other."""

    def __init__(self) -> None:
        self.left = CALLS
        self._progress = Progress()
        _streams()  # made once, for both processes
        (reader, calls), (answers, writer) = os.pipe(), os.pipe()
        self._pid = fork()
        if self._pid == 0:
            os.close(calls)
            os.close(answers)
            ending(self._work)(reader, writer)
        os.close(reader)
        os.close(writer)
        self._calls, self._answers = open(calls, "wb", 0), open(answers, "rb")  # noqa: SIM115

    def _work(self, reader: int, writer: int) -> int:
        """Make calls until there are no more, or one of them ends this process."""
        with (
            contextlib.suppress(EOFError),
            open(reader, "rb") as calls,
            open(writer, "wb", 0) as answers,
        ):
            while True:
                words, env, cwd = marshal.load(calls)
                status = once(words, _streams(), env, cwd, _worker(self._progress))
                answers.write(marshal.dumps(int(status)))
        return 0

    def make(
        self, words: Sequence[str], stdin: bytes, env: Mapping[str, str], cwd: str
    ) -> tuple[bytes, bytes, int]:
        """What a call writes on both streams, and its exit status."""
        _fill(stdin)
        self._progress.write(0, 0)
        self._calls.write(marshal.dumps((words, dict(env), cwd)))  # type: ignore[arg-type]
        try:
            status = marshal.load(self._answers)
            self.left -= 1
        except EOFError:  # the call has ended the worker
            status, self.left = None, 0
        if not self.left:
            self._calls.close()
            self._answers.close()
            ended = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
            status = ended if status is None else status
        if status < 0:
            status = _forked((words, _streams(), env, cwd), _client(-status, self._progress))
        return *_written(), status


def helper(*words: str, env: Mapping[str, str], **more: Any) -> "subprocess.Popen[Any]":
    """A process beside this one, `python -m` with these words. It ends when this one does."""
    if marks := os.environ.get("GRADCLI_MARKS"):
        words, env = ("tools.coverage", *words), {**env, "GRADCLI_MARKS": marks}
    started = subprocess.Popen(
        [sys.executable, "-m", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT,
        env={**env, **LARGE_PAGES}, **more,
    )  # fmt: skip
    atexit.register(started.communicate)  # which closes its input and waits for its end
    return started


@cache
def _caller(*, all_of_pytorch: bool) -> "subprocess.Popen[bytes]":
    """The process that makes the calls of this one."""
    env = {name: value for name, value in os.environ.items() if "TORCH" not in name}
    loaded = ("torch",) if all_of_pytorch else ()
    return helper("tests.program", *loaded, env=env, start_new_session=True)


def _asked(call: tuple[Any, ...], *, all_of_pytorch: bool) -> tuple[bytes, bytes, int]:
    """The same as `_called`, by the process that makes the calls."""
    caller = _caller(all_of_pytorch=all_of_pytorch)
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


def _serve(calls: IO[bytes], answers: IO[bytes], *, all_of_pytorch: bool) -> None:
    """Make the calls that are asked for until nobody asks any more."""
    if all_of_pytorch:
        load_all_of_pytorch()
    _loaded()
    sys.modules["torch"].set_num_threads(1)  # a pool of threads does not survive a fork
    for words in PROGRAM.calls:
        PROGRAM.try_out(words)
    for module in PICTURES:
        import_module(module)
    gc.freeze()  # a collection in a child would write to every object, and so copy every page
    worker = None
    with contextlib.suppress(EOFError), warnings.catch_warnings(action="error"):  # as in pytest
        while True:
            words, stdin, env, cwd, whole = marshal.load(calls)
            if all_of_pytorch or whole or env["GRADCLI_SERVER"] != "off":
                # It may change this process, or leave one behind.
                answer = _called(words, stdin, env, cwd, whole)
            else:
                if worker is None or not worker.left:
                    worker = _Worker()
                answer = worker.make(words, stdin, env, cwd)
            marshal.dump(answer, answers)
            answers.flush()


def _forked(
    call: tuple[Sequence[str], Streams, Mapping[str, str], str | None], instead: Instead | None
) -> int:
    """The exit status of a call in a child, or the signal that it died of as a negative number."""
    pid = fork()
    if pid == 0:
        if instead is None:
            sys.modules["torch"].set_num_threads(THREADS)
            warnings.simplefilter(
                "ignore", ResourceWarning
            )  # as Python does; a server goes on with it
        child(*call, instead)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def once(
    words: Sequence[str],
    streams: Streams,
    env: Mapping[str, str],
    cwd: str | None,
    instead: Instead | None = None,
    seconds: int = 100,
) -> int:
    """The exit status of the program, called in this process with these words on these streams. What
    an earlier call has set up is put back.

    `instead` is what to do instead of the cold program, parent and worker.
    """
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
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
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
    signal.alarm(0)
    return status


def ending(work: Callable[P, int]) -> Callable[P, NoReturn]:
    """The same work for a forked child, which exits with its result."""

    def end(*arguments: P.args, **keywords: P.kwargs) -> NoReturn:
        status = 99
        try:
            status = work(*arguments, **keywords)
        finally:
            os._exit(status)

    return end


child = ending(once)
"""Be the program, called once; never returns."""


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
    _serve(sys.stdin.buffer, sys.stdout.buffer, all_of_pytorch="torch" in sys.argv)
