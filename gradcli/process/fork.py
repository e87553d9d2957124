"""Forked processes: a page of memory that parent and child share, a child that reports its own
fault, and how it ended.

A child never returns into its parent's code and never runs Python's and PyTorch's teardown, which
takes 0.3 s.
"""

import contextlib
import marshal
import mmap
import os
import signal
import struct
from collections.abc import Callable
from typing import NamedTuple

from gradcli.errors import FAULT, ExitStatus, GradcliError, fault, traceback_of

_STATE = struct.Struct("=qqdq")
"""How the page begins: two numbers and the seconds of the work in hand, and the size of the report
behind it, or _DONE."""
_DONE = -1
_SIZE = 1 << 18
_LONGEST = _SIZE // 8
"""Characters of a traceback that a report has at most, each of which may take several bytes."""


class End(NamedTuple):
    """How a child ended: its status as os.waitpid gives it, what it was at, its seconds, and what
    it reported.
    """

    status: int
    at: tuple[int, int] = (0, 0)
    seconds: float = 0.0
    report: tuple[str, ...] = ()


class SharedPage:
    """Memory that a child and its parent share: what the child is at, whether its work is done, and
    its report if it failed.

    What it is at are two numbers: the start and stop of a place in the expression, or the number of
    a job and of the process.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _SIZE)

    def write(self, first: int, second: int, seconds: float = 0.0) -> None:
        """What is about to be done, and the seconds that it may take (0: any)."""
        _STATE.pack_into(self._memory, 0, first, second, seconds, 0)

    def read(self) -> tuple[int, int]:
        """What the child was at last; (0, 0) where it was at nothing."""
        first, second, *_ = _STATE.unpack_from(self._memory)
        return first, second

    @property
    def done(self) -> bool:
        """Whether the work came to its own end. Libraries end a process too, with a status that
        means nothing here.
        """
        return bool(_STATE.unpack_from(self._memory)[3] == _DONE)

    def finish(self) -> None:
        """The work is done: what this process exits with now is its status."""
        self._end_with(_DONE)

    def report(self, error: BaseException) -> ExitStatus:
        """Leave the error that ends this process for the parent, where `end` reads it; the exit
        status that it means.
        """
        if isinstance(error, GradcliError):
            status, told = ExitStatus.BAD_INPUT, (error.kind, error.message, error.hint)
        else:
            status, told = (
                ExitStatus.FAULT,
                (FAULT, fault(error), traceback_of(error, os.environ)[-_LONGEST:]),
            )
        content = marshal.dumps(told)
        self._end_with(len(content))
        self._memory[_STATE.size : _STATE.size + len(content)] = content
        return status

    def _end_with(self, size: int) -> None:
        first, second, seconds, _ = _STATE.unpack_from(self._memory)
        _STATE.pack_into(self._memory, 0, first, second, seconds, size)

    def end(self, status: int) -> End:
        """How the child ended that had this page, as os.waitpid gives its status."""
        first, second, seconds, size = _STATE.unpack_from(self._memory)
        report = marshal.loads(self._memory[_STATE.size : _STATE.size + size]) if size > 0 else ()
        return End(status, (first, second), seconds, report)


def spawn(work: Callable[[], int], page: SharedPage) -> int:
    """Fork a child that does `work` and exits with what that returns; its process number.

    What `work` raises is reported on the page.
    """
    if pid := os.fork():
        return pid
    status: int = ExitStatus.FAULT
    try:
        status = work()
        page.finish()
    except BaseException as error:
        status = page.report(error)
    finally:
        os._exit(status)


def end_with_parent(reader: int, writer: int) -> None:
    """Let this child be killed when its parent, which keeps `writer` of this pipe, has ended
    without a chance to see to it.

    Only Linux can do that; elsewhere a child whose parent was killed goes on to its own end.
    """
    os.close(writer)
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(reader, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(reader, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(reader, fcntl.F_SETFL, os.O_RDONLY | os.O_ASYNC)


def wait(pid: int) -> tuple[int, int]:
    """What os.waitpid returns; but where a process was killed at the hard limit of its processor
    time, the signal is SIGXCPU: the system says SIGKILL.
    """
    import resource

    pid, status, used = os.wait4(pid, 0)
    most = resource.getrlimit(resource.RLIMIT_CPU)[1]
    spent = used.ru_utime + used.ru_stime + 0.5  # the system counts by ticks
    return pid, signal.SIGXCPU if status == signal.SIGKILL and 0 <= most <= spent else status
