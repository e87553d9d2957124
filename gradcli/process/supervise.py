"""Parent and worker: the parent holds no PyTorch, relays signals, and turns a worker's death into one error.

A worker that crashes inside PyTorch, eats the memory or runs too long must not take the answer with it. It bounds its own
time by an alarm that kills it, whatever C++ is at; the parent reads from the signal that it died of what has happened, and
from a page of memory that both see at which place of the expression.
"""

import contextlib
import mmap
import os
import signal
import struct
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gradcli.errors import ExitStatus, GradcliError, MathError, Place, SizeError
from gradcli.language.source import Source, Span

_RELAYED = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
_CRASHES = {"SIGSEGV", "SIGABRT", "SIGFPE", "SIGBUS", "SIGILL"}
_PLACE = struct.Struct("=iii")
"""The page: start and stop of the place, and whether the worker has come to its own end."""
SHOWING = (-1, 0)
"""The place of a worker that has computed everything, and shows it."""


def _relayed() -> list[signal.Signals]:
    """The signals that end a program and that this system has."""
    return [getattr(signal, name) for name in _RELAYED if hasattr(signal, name)]


class Died(BaseException):
    """The parent was asked to end by a signal; it dies of the same one once everything is cleaned up."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


@dataclass(frozen=True)
class Limits:
    """What bounds a worker: seconds of computing (0: none), the expression for the place of an error, and what is timed
    where that is less than the whole.
    """

    seconds: float
    source: Source | None = None
    timed: str = ""


class Progress:
    """What a worker says of itself while it works. Its parent has the same page, and so knows the place."""

    def __init__(self) -> None:
        self._page = mmap.mmap(-1, mmap.PAGESIZE)

    def begin(self) -> None:
        """From now on this process is a worker."""
        end_at_once()

    def computing(self, seconds: float, *, limit_memory: bool) -> None:
        """PyTorch is loaded: the time limit begins, and with `limit_memory` memory is limited to what is free."""
        if limit_memory:
            bound_memory()
        self.step(seconds)

    def step(self, seconds: float) -> None:
        """The time limit begins again."""
        if hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, seconds)

    def showing(self) -> None:
        """The numbers are there; what is done with them within the time limit is at no place of the expression."""
        _PLACE.pack_into(self._page, 0, *SHOWING, 0)

    def shown(self) -> None:
        """All that will be written is there: the time limit is lifted, however slowly it is read."""
        self.step(0)

    def at(self, place: Span) -> None:
        """The place in the expression that is about to be computed."""
        _PLACE.pack_into(self._page, 0, place.start, place.stop, 0)

    def end(self) -> None:
        """The work is done: what this process exits with now is its status."""
        _PLACE.pack_into(self._page, 0, 0, 0, 1)

    @property
    def ended(self) -> bool:
        """Whether the worker has come to its own end. Libraries end a process too, with a status that means nothing here."""
        return bool(_PLACE.unpack_from(self._page)[2])

    def where(self) -> tuple[int, int]:
        """The place that the worker was at last, as start and stop in the expression; (0, 0) where it was at none."""
        start, stop, _ = _PLACE.unpack_from(self._page)
        return start, stop

    def close(self) -> None:
        """Give the page back."""
        self._page.close()


@contextlib.contextmanager
def existing_folder() -> Iterator[None]:
    """Be somewhere else for a while where the current folder has been deleted: in such a one MKL, and with it PyTorch,
    ends the process while it is loaded.
    """
    here = None
    try:
        os.getcwd()
    except FileNotFoundError:
        here = os.open(".", os.O_RDONLY)
        os.chdir("/")
    try:
        yield
    finally:
        if here is not None:
            os.fchdir(here)
            os.close(here)


@contextlib.contextmanager
def silent_streams() -> Iterator[None]:
    """Drop what C code writes to stdout and stderr: what MKL says of arguments, which would stand amid the result, and glibc's
    last words before a crash, which the parent says better.
    """
    os.environ["LIBC_FATAL_STDERR_"] = "1"  # else glibc writes to the terminal itself
    kept = {}
    for stream in (1, 2):
        with contextlib.suppress(OSError):  # it is closed
            kept[stream] = os.dup(stream)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in kept:
        os.dup2(nowhere, stream)
    os.close(nowhere)
    try:
        yield
    finally:
        if sys.platform != "win32" and "ctypes" in sys.modules:  # PyTorch is loaded
            sys.modules["ctypes"].CDLL(None).fflush(None)  # what C holds back goes nowhere, too
        for stream, copy in kept.items():
            os.dup2(copy, stream)
            os.close(copy)


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


def supervised(work: Callable[[Progress], int], limits: Limits) -> int:
    """The exit status of `work`, run in a child of this process.

    Raises GradcliError where the worker was killed or ran too long, and Died where this process was asked to end.
    Where there is no fork, `work` runs here and nothing is bounded.
    """
    progress = Progress()
    if not hasattr(os, "fork"):
        return work(progress)
    with held():  # a worker is never without its parent's care
        parting = os.pipe()
        pid = os.fork()
        if pid == 0:
            _be_worker(work, progress, parting)
        os.close(parting[0])
        try:
            with signals_to(_die_now):
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _relayed())
                _, status = wait(pid)
                signal.pthread_sigmask(signal.SIG_BLOCK, _relayed())
        except Died as death:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):  # it may just have ended
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            raise death from None
        finally:
            os.close(parting[1])
    if os.WIFSIGNALED(status):
        raise death_of(os.WTERMSIG(status), progress.where(), limits)
    if not progress.ended:
        raise cause(status, progress.where(), limits)
    return os.WEXITSTATUS(status)


def wait(pid: int) -> tuple[int, int]:
    """What os.waitpid returns; but where a process was killed at the hard limit of its processor time, the signal is
    SIGXCPU: the system says SIGKILL.
    """
    import resource

    pid, status, used = os.wait4(pid, 0)
    most = resource.getrlimit(resource.RLIMIT_CPU)[1]
    spent = used.ru_utime + used.ru_stime + 0.5  # the system counts by ticks
    return pid, signal.SIGXCPU if status == signal.SIGKILL and 0 <= most <= spent else status


def end_at_once() -> None:
    """Let the signals that end a program end this process: Python's own handlers would wait for PyTorch to return."""
    for number in _relayed():
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _relayed())


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Hold back the signals that end a program, so that what is begun here is cleaned up; `supervised` takes them."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _relayed())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _be_worker(work: Callable[[Progress], int], progress: Progress, parting: tuple[int, int]) -> None:
    """Do the work and leave without Python's and PyTorch's teardown, which takes 0.3 s."""
    status: int = ExitStatus.FAULT
    try:
        end_with_parent(*parting)
        progress.begin()
        status = work(progress)
        progress.end()
    finally:
        os._exit(status)


def end_with_parent(reader: int, writer: int) -> None:
    """Let this process be killed when its parent, who keeps `writer` of this pipe, has ended without a chance to see to it.

    Only Linux knows how; elsewhere a worker whose parent was killed goes on to its own end.
    """
    os.close(writer)
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(reader, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(reader, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(reader, fcntl.F_SETFL, os.O_RDONLY | os.O_ASYNC)


def _die_now(signum: int, frame: object) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, _relayed())  # what comes next is cleaning up
    raise Died(signum)


@contextlib.contextmanager
def signals_to(handler: Callable[[int, object], None]) -> Iterator[None]:
    """Hand the signals that end a program to `handler` for a while; those that are ignored stay so."""
    before = {
        number: signal.signal(number, handler) for number in _relayed() if signal.getsignal(number) != signal.SIG_IGN
    }
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def death_of(signum: int, where: tuple[int, int], limits: Limits) -> BaseException:
    """What a worker's death by a signal means: Died where somebody asked for it, else the error to show."""
    asked = signum in _relayed()
    return Died(signum) if asked else cause(signum, where, limits)


def cause(status: int, where: tuple[int, int], limits: Limits) -> GradcliError:
    """The error of a worker that has ended at a place, its work undone, with a status as os.waitpid gives it."""
    start, stop = where
    place: Place | None = limits.source.span(start, stop) if limits.source and 0 <= start < stop else None
    if not os.WIFSIGNALED(status):
        message = f"a library that PyTorch uses ended the process (exit status {os.waitstatus_to_exitcode(status)})"
        return MathError(message, place=place, cure="memory may be too low: see ulimit -v")
    name = signal.Signals(os.WTERMSIG(status)).name
    if name == "SIGALRM":
        what = "showing the result took" if where == SHOWING else "it ran for"
        cure = (
            f"--timeout bounds {limits.timed}; 0 removes the limit" if limits.timed else "--timeout 0 removes the limit"
        )
        return SizeError(f"{what} more than {limits.seconds:g} s", place=place, cure=cure)
    if name == "SIGXCPU":
        return SizeError("it used more CPU time than this shell allows", place=place, cure="see ulimit -t")
    if name in _CRASHES:
        message = f"PyTorch crashed{' here' if place else ''} ({name})"
        return MathError(message, place=place, cure="check the arguments of this call")
    why = ", probably out of memory" if name == "SIGKILL" else ""
    return SizeError(f"the computation was killed ({name}){why}", place=place)


def die(signum: int) -> int:
    """End this process by the signal itself, so that a shell's loop stops too; the status where that is not possible."""
    if sys.platform != "win32":
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signum})
    return 128 + signum
