"""The parent of a computation: it holds no PyTorch, relays signals, and turns a worker's death into one error.

A worker that crashes inside PyTorch, eats the memory or runs too long must not take the answer with it. The parent waits
on a pipe over which the worker says when it begins to compute and when it begins to show; the place in the expression that
is being computed lies in a page of memory that both see.
"""

import contextlib
import mmap
import os
import select
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gradcli.errors import ExitStatus, GradcliError, MathError, Place, SizeError
from gradcli.text.source import Source, Span

_COMPUTING, _SHOWING = b"c", b"s"
_RELAYED = ("SIGINT", "SIGTERM", "SIGHUP")
_CRASHES = {"SIGSEGV", "SIGABRT", "SIGFPE", "SIGBUS", "SIGILL"}


class Died(BaseException):
    """The parent was asked to end by a signal; it dies of the same one once everything is cleaned up."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


class Progress:
    """What the worker says about itself while it works."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._page = mmap.mmap(-1, mmap.PAGESIZE)

    def computing(self, *, limit_memory: bool) -> None:
        """PyTorch is loaded: the time limit begins, and with `limit_memory` no more memory is to be had than is free."""
        if limit_memory:
            bound_memory()
        os.write(self._pipe, _COMPUTING)

    def showing(self) -> None:
        """The numbers are there: the time limit is lifted, however slowly they are read."""
        os.write(self._pipe, _SHOWING)

    def at(self, place: Span) -> None:
        """The place in the expression that is about to be computed."""
        struct.pack_into("=ii", self._page, 0, place.start, place.stop)

    def place(self, source: Source | None) -> Place | None:
        """Where the worker was last, as far as it is known."""
        start, stop = struct.unpack_from("=ii", self._page)
        return source.span(start, stop) if source and stop > start else None


@contextlib.contextmanager
def silent_stderr() -> Iterator[None]:
    """Drop what C code writes to stderr, such as glibc's last words before a crash: the parent says it better."""
    os.environ["LIBC_FATAL_STDERR_"] = "1"  # else glibc writes to the terminal itself
    try:
        kept = os.dup(2)
        nowhere = os.open(os.devnull, os.O_WRONLY)
    except OSError:  # stderr is closed
        yield
        return
    os.dup2(nowhere, 2)
    os.close(nowhere)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def bound_memory() -> None:
    """Bound the address space of this process by what it has and what the machine still has.

    An allocation beyond it then fails at once, with its size in PyTorch's message, instead of waking the system's killer.
    Where the system tells nothing of its memory there is no bound.
    """
    try:
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            size = int(file.read().split()[0]) * resource.getpagesize()
        with open("/proc/meminfo", encoding="ascii") as file:
            free = next(int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable"))
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        limit = size + min(free, _free_in_group())
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard < 0 else min(limit, hard), hard))
    except (ImportError, OSError, StopIteration, ValueError):
        return


def _free_in_group() -> int:
    """What the control group of this process may still take: a container has less than its machine."""
    try:
        with (
            open("/sys/fs/cgroup/memory.max", encoding="ascii") as most,
            open("/sys/fs/cgroup/memory.current", encoding="ascii") as now,
        ):
            return int(most.read()) - int(now.read())
    except (OSError, ValueError):
        return 2**62


@dataclass(frozen=True)
class Limits:
    """What bounds the worker: seconds of computing (0: none), and the expression for the place of an error."""

    seconds: float
    source: Source | None = None


def supervised(work: Callable[[Progress], int], limits: Limits) -> int:
    """The exit status of `work`, run in a child of this process.

    Raises GradcliError where the worker was killed or ran too long, and Died where this process was asked to end.
    Where there is no fork, `work` runs here and nothing is bounded.
    """
    reader, writer = os.pipe()
    progress = Progress(writer)
    if not hasattr(os, "fork"):
        return work(progress)
    pid = os.fork()
    if pid == 0:
        _be_worker(work, progress, reader)
    os.close(writer)
    try:
        with signals_to(_die_now):
            in_time = _wait(reader, limits.seconds)
            if not in_time:
                os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
    except Died as death:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        raise death from None
    finally:
        os.close(reader)
    if not in_time:
        raise SizeError(
            f"it ran for more than {limits.seconds:g} s", place=progress.place(limits.source),
            cure="--timeout 0 lifts the limit",
        )  # fmt: skip
    if os.WIFSIGNALED(status):
        raise _death(os.WTERMSIG(status), progress.place(limits.source))
    return os.WEXITSTATUS(status)


def _be_worker(work: Callable[[Progress], int], progress: Progress, reader: int) -> None:
    """Do the work and leave without Python's and PyTorch's teardown, which takes 0.3 s."""
    status: int = ExitStatus.FAULT
    try:
        os.close(reader)
        if signal.getsignal(signal.SIGINT) != signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.SIG_DFL)  # Python's own handler would wait for PyTorch to return
        status = work(progress)
    finally:
        os._exit(status)


def _wait(reader: int, seconds: float) -> bool:
    """Wait for the worker's end; False where it computed for longer than `seconds`."""
    left: float | None = None
    while True:
        ready, _, _ = select.select([reader], [], [], left)
        if not ready:
            return False
        message = os.read(reader, 1)
        if not message:
            return True
        left = seconds or None if message == _COMPUTING else None


def _die_now(signum: int, frame: object) -> None:
    raise Died(signum)


@contextlib.contextmanager
def signals_to(handler: Callable[[int, object], None]) -> Iterator[None]:
    """Hand the signals that end a program to `handler` for a while; those that are ignored stay so."""
    numbers = [getattr(signal, name) for name in _RELAYED]
    before = {
        number: signal.signal(number, handler) for number in numbers if signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _death(signum: int, place: Place | None) -> BaseException:
    """What the worker's death by a signal means."""
    name = signal.Signals(signum).name
    if name in _RELAYED:
        return Died(signum)
    if name in _CRASHES:
        return MathError(
            f"PyTorch ended the process here ({name})", place=place, cure="check the arguments of this call"
        )
    return _killed(name, place)


def _killed(name: str, place: Place | None) -> GradcliError:
    return SizeError(f"the computation was killed ({name}), most likely for want of memory", place=place)


def die(signum: int) -> int:
    """End this process by the signal itself, so that a shell's loop stops too; the status where that is not possible."""
    if sys.platform != "win32":
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)
    return 128 + signum
