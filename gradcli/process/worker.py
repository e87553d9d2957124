"""The worker of one call: its limits, its parent that waits for it, and the error that its death
means.

A worker that crashes inside PyTorch, uses up the memory or runs too long must not end the whole
call. It limits its own time by an alarm that kills it even inside C++. The parent, which has not
loaded PyTorch, learns the cause from the signal, and the place in the expression from the page that
they share.
"""

import contextlib
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass

from gradcli.errors import FAULT, GradcliError, MathError, ProgramError, SizeError, ToldFault
from gradcli.language.source import Source, Span
from gradcli.process.fork import End, SharedPage, end_with_parent, spawn, wait
from gradcli.process.guards import bound_memory
from gradcli.process.signals import EndedBySignal, end_at_once, ending, held, interruptible

_CRASHES = {"SIGSEGV", "SIGABRT", "SIGFPE", "SIGBUS", "SIGILL"}
_SHOWING = (-1, 0)
"""The current work of a worker that has computed everything and formats the output."""


@dataclass(frozen=True)
class Limits:
    """What an error of a worker's death needs: the time limit in seconds (0: none), the expression,
    the name of the step that is timed if that is not the whole call, and the program of the user's
    that runs in it.
    """

    seconds: float
    source: Source | None = None
    timed: str = ""
    program: str = ""


class Progress(SharedPage):
    """The stages of a worker, which its parent reads on the page."""

    def accept(self) -> None:
        """Record that the worker has accepted the call of the server's client."""
        self._memory[-1] = 1

    @property
    def accepted(self) -> bool:
        """Whether the worker has accepted a call."""
        return self._memory[-1] == 1

    def begin(self) -> None:
        """Make this process a worker."""
        end_at_once()

    def computing(self, seconds: float, *, limit_memory: bool) -> None:
        """Start the time limit once PyTorch is loaded; with `limit_memory` bound the memory too."""
        if limit_memory:
            bound_memory()
        self.step(seconds)

    def step(self, seconds: float) -> None:
        """Start the time limit again."""
        if hasattr(signal, "setitimer"):
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.setitimer(signal.ITIMER_REAL, seconds)

    def at(self, span: Span) -> None:
        """Record the place in the expression that is computed next."""
        self.write(span.start, span.stop)

    def showing(self) -> None:
        """Record that all numbers are computed: a later timeout has no place in the expression."""
        self.write(*_SHOWING)

    def shown(self) -> None:
        """Lift the time limit: the output is ready, and its reader may be slow."""
        self.step(0)


def run_in_worker(work: Callable[[Progress], int], limits: Limits) -> int:
    """The exit status of `work`, run in a child of this process.

    Raises GradcliError if the worker was killed or ran too long, ToldFault if it failed, and
    EndedBySignal if a signal ended this process. Without fork, `work` runs here without limits.
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
            # The worker may just have ended.
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            raise
        finally:
            os.close(lifeline[1])
    if os.WIFSIGNALED(status) or not progress.done:
        raise death(progress.end(status), limits)
    return os.WEXITSTATUS(status)


def death(end: End, limits: Limits) -> BaseException:
    """The exception for the death of a call's worker: EndedBySignal if a signal that ends programs
    was sent to it, otherwise `cause`.
    """
    if os.WIFSIGNALED(end.status) and os.WTERMSIG(end.status) in ending():
        return EndedBySignal(os.WTERMSIG(end.status))
    return cause(end, limits)


def cause(end: End, limits: Limits) -> GradcliError | ToldFault:
    """The error of a worker that ended before its work was done: its report, or else the meaning of
    its status.
    """
    if end.report:
        kind, message, rest = end.report
        if kind == FAULT:
            return ToldFault(message, rest)
        error = next(error for error in GradcliError.__subclasses__() if error.kind == kind)
        return error(message, hint=rest)
    start, stop = end.at
    span = limits.source.span(start, stop) if limits.source and 0 <= start < stop else None
    if not os.WIFSIGNALED(end.status):
        status = os.waitstatus_to_exitcode(end.status)
        if limits.program:
            message = (
                f"{limits.program!r} ended its own process (exit status {status}), as os._exit does"
            )
            hint = "end it with sys.exit: what was found is lost otherwise"
            return ProgramError(message, hint=hint)
        message = f"a library that PyTorch uses ended the process (exit status {status})"
        return MathError(message, span=span, hint="memory may be too low: see ulimit -v")
    name = signal.Signals(os.WTERMSIG(end.status)).name
    if name == "SIGALRM":
        ran = f"{limits.program!r} ran for" if limits.program else "it ran for"
        what = "showing the result took" if end.at == _SHOWING else ran
        bounded = f"--timeout bounds {limits.timed}; 0" if limits.timed else "--timeout 0"
        message, hint = f"{what} more than {limits.seconds:g} s", f"{bounded} removes the limit"
        return SizeError(message, span=span, hint=hint)
    if name == "SIGXCPU":
        message = "it used more CPU time than this shell allows"
        return SizeError(message, span=span, hint="see ulimit -t")
    if name in _CRASHES and limits.program:
        message = f"{limits.program!r} crashed ({name})"
        return ProgramError(message, hint="python -X faulthandler FILE.py shows the line")
    if name in _CRASHES:
        message = f"PyTorch crashed{' here' if span else ''} ({name})"
        return MathError(message, span=span, hint="check the arguments of this call")
    why = ", probably out of memory" if name == "SIGKILL" else ""
    if limits.program:
        hint = "run it on less data: what was found is lost"
        return ProgramError(f"{limits.program!r} was killed ({name}){why}", hint=hint)
    return SizeError(f"the computation was killed ({name}){why}", span=span)
