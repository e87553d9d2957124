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
    """A signal ends this process, which dies of the same signal once everything is cleaned up."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def ending() -> list[signal.Signals]:
    """The signals that end a program, as far as this system has them."""
    return [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Block these signals, so that what begins here is cleaned up; `interruptible` admits one."""
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
    """Handle these signals by `handler` for a while; signals that are ignored stay ignored."""
    before = {number: signal.signal(number, handler) for number in _not_ignored()}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Within `held`, let the first of these signals raise EndedBySignal; later ones are blocked."""
    with handled(_end):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ending())
        yield
        signal.pthread_sigmask(signal.SIG_BLOCK, ending())


def _end(signum: int, frame: object) -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, ending())  # cleaning up comes next
    raise EndedBySignal(signum)


def end_at_once() -> None:
    """Let these signals end this process at once: Python's handlers would wait for PyTorch."""
    for number in _not_ignored():
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ending())


def die(signum: int) -> int:
    """End this process by the signal itself, so that a shell's loop stops too.

    Returns the exit status for a system where that is not possible.
    """
    if sys.platform != "win32":
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signum})
    return 128 + signum


def _not_ignored() -> list[signal.Signals]:
    return [number for number in ending() if signal.getsignal(number) != signal.SIG_IGN]
