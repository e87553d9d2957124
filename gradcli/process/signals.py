"""The signals that end a program: held back, handled for a while, left to their default action, or
died of.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")


class EndedBySignal(BaseException):
    """A signal asked this process to end; it dies of the same one once everything is cleaned up."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def ending() -> list[signal.Signals]:
    """The signals that end a program and that this system has."""
    return [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Hold these signals back, so that what is begun here is cleaned up; `interruptible` lets them
    in.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ending())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def handled(handler: Callable[[int, object], None]) -> Iterator[None]:
    """Hand these signals to `handler` for a while; those that are ignored stay ignored."""
    before = {
        number: signal.signal(number, handler) for number in ending() if not _is_ignored(number)
    }
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Within `held`, let the first of these signals in: it raises EndedBySignal, and those after it
    are held back again.
    """
    with handled(_end):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ending())
        yield
        signal.pthread_sigmask(signal.SIG_BLOCK, ending())


def _end(signum: int, frame: object) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, ending())  # what comes next is cleaning up
    raise EndedBySignal(signum)


def end_at_once() -> None:
    """Let these signals end this process: Python's own handlers would wait for PyTorch to
    return.
    """
    for number in ending():
        if not _is_ignored(number):
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ending())


def die(signum: int) -> int:
    """End this process by the signal itself, so that a shell's loop stops too; the status where
    that is not possible.
    """
    if sys.platform != "win32":
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signum})
    return 128 + signum


def _is_ignored(number: int) -> bool:
    return signal.getsignal(number) == signal.SIG_IGN
