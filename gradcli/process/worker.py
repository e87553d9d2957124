"""The worker of one call: what bounds it, how its parent watches it, and the error that its death
means.

A worker that crashes inside PyTorch, eats the memory or runs too long must not take the answer with
it. It bounds its own time by an alarm that kills it, whatever C++ is doing; the parent, which has
not loaded PyTorch, reads from the signal what has happened, and from the page that both share at
which place of the expression.
"""

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

from gradcli.errors import FAULT, GradcliError, Location, MathError, SizeError, ToldFault
from gradcli.language.source import Source, Span
from gradcli.process.fork import End, SharedPage, end_with_parent, spawn, wait
from gradcli.process.guards import bound_memory
from gradcli.process.signals import EndedBySignal, end_at_once, ending, held, interruptible

_CRASHES = {"SIGSEGV", "SIGABRT", "SIGFPE", "SIGBUS", "SIGILL"}
_SHOWING = (-1, 0)
"""What a worker is at that has computed everything and shows it."""


@dataclass(frozen=True)
class Limits:
    """What bounds a worker: seconds of computing (0: none), the expression for the place of an
    error, and what is timed where that is less than the whole.
    """

    seconds: float
    source: Source | None = None
    timed: str = ""


class Progress(SharedPage):
    """The stages of a worker, which its parent can read on the page."""

    def accept(self) -> None:
        """The worker has accepted the call of a server's caller."""
        self._memory[-1] = 1

    @property
    def accepted(self) -> bool:
        """Whether it has."""
        return self._memory[-1] == 1

    def begin(self) -> None:
        """From now on this process is a worker."""
        end_at_once()

    def computing(self, seconds: float, *, limit_memory: bool) -> None:
        """PyTorch is loaded: the time limit begins, and with `limit_memory` memory is limited to
        what is free.
        """
        if limit_memory:
            bound_memory()
        self.step(seconds)

    def step(self, seconds: float) -> None:
        """The time limit begins again."""
        if hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, seconds)

    def at(self, span: Span) -> None:
        """The place in the expression that is about to be computed."""
        self.write(span.start, span.stop)

    def showing(self) -> None:
        """The numbers are there; if showing them exceeds the time limit, no place of the expression
        is to blame.
        """
        self.write(*_SHOWING)

    def shown(self) -> None:
        """All output is ready: the time limit is lifted, however slowly it is read."""
        self.step(0)


def run_in_worker(work: Callable[[Progress], int], limits: Limits) -> int:
    """The exit status of `work`, run in a child of this process.

    Raises GradcliError where the worker was killed or ran too long, ToldFault where it failed, and
    EndedBySignal where this process was asked to end. Where there is no fork, `work` runs here and
    nothing is bounded.
    """
    progress = Progress()
    if not hasattr(os, "fork"):
        return work(progress)

    def child() -> int:
        end_with_parent(*lifeline)
        progress.begin()
        return work(progress)

    with held():  # no worker is left without its parent
        lifeline = os.pipe()
        pid = spawn(child, progress)
        os.close(lifeline[0])
        try:
            with interruptible():
                _, status = wait(pid)
        except EndedBySignal:
            with contextlib.suppress(
                ProcessLookupError, ChildProcessError
            ):  # it may just have ended
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            raise
        finally:
            os.close(lifeline[1])
    if os.WIFSIGNALED(status) or not progress.done:
        raise death(progress.end(status), limits)
    return os.WEXITSTATUS(status)


def death(end: End, limits: Limits) -> BaseException:
    """What the end of the worker of a call means: EndedBySignal where somebody asked for it, else
    the error to show.
    """
    asked = os.WIFSIGNALED(end.status) and os.WTERMSIG(end.status) in ending()
    return EndedBySignal(os.WTERMSIG(end.status)) if asked else cause(end, limits)


def cause(end: End, limits: Limits) -> GradcliError | ToldFault:
    """The error of a worker that has ended before its work was done: what it reported, else what
    its status says.
    """
    if end.report:
        kind, message, more = end.report
        if kind == FAULT:
            return ToldFault(message, more)
        return next(error for error in GradcliError.__subclasses__() if error.kind == kind)(
            message, hint=more
        )
    start, stop = end.at
    span: Location | None = (
        limits.source.span(start, stop) if limits.source and 0 <= start < stop else None
    )
    if not os.WIFSIGNALED(end.status):
        status = os.waitstatus_to_exitcode(end.status)
        message = f"a library that PyTorch uses ended the process (exit status {status})"
        return MathError(message, span=span, hint="memory may be too low: see ulimit -v")
    name = signal.Signals(os.WTERMSIG(end.status)).name
    if name == "SIGALRM":
        what = "showing the result took" if end.at == _SHOWING else "it ran for"
        bounded = f"--timeout bounds {limits.timed}; 0" if limits.timed else "--timeout 0"
        return SizeError(
            f"{what} more than {limits.seconds:g} s", span=span, hint=f"{bounded} removes the limit"
        )
    if name == "SIGXCPU":
        return SizeError(
            "it used more CPU time than this shell allows", span=span, hint="see ulimit -t"
        )
    if name in _CRASHES:
        message = f"PyTorch crashed{' here' if span else ''} ({name})"
        return MathError(message, span=span, hint="check the arguments of this call")
    why = ", probably out of memory" if name == "SIGKILL" else ""
    return SizeError(f"the computation was killed ({name}){why}", span=span)
