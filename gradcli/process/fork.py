"""Forked processes: a page of memory that parent and child share, a child that reports its own
fault, and how it ended.

A child never returns into its parent's code and never runs the teardown of Python and PyTorch,
which takes 0.3 s.
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
"""The head of the page: two numbers and the time limit in seconds of the current work, and the size
of the report after the head, or _DONE."""
_DONE = -1
_SIZE = 1 << 18
_LONGEST = _SIZE // 8
"""Characters of a traceback that a report has at most; each may take several bytes."""


class End(NamedTuple):
    """How a child ended: its status as os.waitpid returns it, the place of its current work, that
    work's time limit in seconds, and its report.
    """

    status: int
    at: tuple[int, int] = (0, 0)
    seconds: float = 0.0
    report: tuple[str, ...] = ()


class SharedPage:
    """Memory shared by a child and its parent: the child's current work, whether the child is done,
    and the report of its error.

    Two numbers name the current work: the start and stop of a place in the expression, or the
    number of a job and of the process.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _SIZE)

    def write(self, first: int, second: int, seconds: float = 0.0) -> None:
        """Record the work that begins now, and its time limit in seconds (0: none)."""
        _STATE.pack_into(self._memory, 0, first, second, seconds, 0)

    def read(self) -> tuple[int, int]:
        """The current work of the child; (0, 0) if none has begun."""
        first, second, *_ = _STATE.unpack_from(self._memory)
        return first, second

    @property
    def done(self) -> bool:
        """Whether the child returned from its work. A library may end a process too, with any
        status.
        """
        return bool(_STATE.unpack_from(self._memory)[3] == _DONE)

    def finish(self) -> None:
        """Record that the work is done: the exit status of this process is its result."""
        self._set_size(_DONE)

    def report(self, error: BaseException) -> ExitStatus:
        """Store the error that ends this process, for the parent; return its exit status."""
        if isinstance(error, GradcliError):
            status, report = ExitStatus.BAD_INPUT, (error.kind, error.message, error.hint)
        else:
            traceback = traceback_of(error, os.environ)[-_LONGEST:]
            status, report = ExitStatus.FAULT, (FAULT, fault(error), traceback)
        content = marshal.dumps(report)
        self._set_size(len(content))
        self._memory[_STATE.size : _STATE.size + len(content)] = content
        return status

    def _set_size(self, size: int) -> None:
        struct.pack_into("=q", self._memory, _STATE.size - 8, size)

    def end(self, status: int) -> End:
        """How the child of this page ended, with its `status` as os.waitpid returns it."""
        first, second, seconds, size = _STATE.unpack_from(self._memory)
        report = marshal.loads(self._memory[_STATE.size : _STATE.size + size]) if size > 0 else ()
        return End(status, (first, second), seconds, report)


def spawn(work: Callable[[], int], page: SharedPage) -> int:
    """Fork a child that exits with the result of `work`; return its process number.

    An exception that `work` raises is reported on the page.
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
    """Let the system kill this child when its parent, which keeps the pipe's `writer`, has ended.

    Only Linux can do that; elsewhere a child whose parent was killed runs to its end.
    """
    os.close(writer)
    with contextlib.suppress(ImportError, AttributeError, OSError):
        import fcntl

        fcntl.fcntl(reader, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(reader, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(reader, fcntl.F_SETFL, os.O_RDONLY | os.O_ASYNC)


def wait(pid: int) -> tuple[int, int]:
    """What os.waitpid returns, except that a process killed at the hard limit of its CPU time, for
    which the system reports SIGKILL, has the signal SIGXCPU.
    """
    import resource

    pid, status, used = os.wait4(pid, 0)
    limit = resource.getrlimit(resource.RLIMIT_CPU)[1]
    spent = used.ru_utime + used.ru_stime + 0.5  # the system counts in ticks
    return pid, signal.SIGXCPU if status == signal.SIGKILL and 0 <= limit <= spent else status
