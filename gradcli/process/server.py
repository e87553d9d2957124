"""The server: a process that has PyTorch loaded and does nothing but fork; one worker is always
ready for the next call.

It reads one byte of a caller, to know the request, and hands the connection over to a worker. What
is left to it is what only a worker's parent can do: report the signal that ended it, and end the
processes that it leaves behind. It never computes.
"""

import contextlib
import json
import marshal
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from gradcli import __version__
from gradcli.process import server_worker, wire
from gradcli.process.fork import spawn
from gradcli.process.server_worker import Origin, Program
from gradcli.process.worker import Progress

BACKLOG = 128
GRACE = 2.0
"""Seconds that a worker whose caller has gone may take to clean up."""


def serve(path: str, idle: float, program: Program) -> None:
    """Load a program, serve it at `path`, and end without PyTorch's teardown."""
    Server(path, idle, program, server_worker.load(program)).run()
    os._exit(0)


@dataclass
class _Child:
    """A worker, seen from its parent: `inlet` leads to it, and `connection` is that of its call."""

    pid: int
    inlet: socket.socket
    progress: Progress
    connection: socket.socket | None = None
    end_by: float | None = None


class Server:
    """Accepts callers at `path` until nobody has called for `idle` seconds, or it is told to
    stop.
    """

    def __init__(self, path: str, idle: float, program: Program, origin: Origin) -> None:
        self._path = path
        self._idle = idle
        self._program = program
        self._origin = origin
        self._served = 0
        self._began = self._active = time.monotonic()
        self._stopping = False
        self._spare: _Child | None = None
        self._calls: dict[int, _Child] = {}
        self._stop_callers: list[socket.socket] = []
        self._poll = select.poll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._listener = _listening(path)
        self._watch(self._listener.fileno(), select.POLLIN, self._accept)
        wakeup = _wakeup_fd()
        self._watch(wakeup, select.POLLIN, partial(self._handle_signals, wakeup))

    def run(self) -> None:
        """Serve until the end; calls that are under way then are waited for."""
        self._spare = self._spawn()
        while not (self._stopping and not self._calls):
            for fd, handler in [
                (fd, self._handlers[fd]) for fd, _ in self._poll.poll(self._patience())
            ]:
                if (
                    self._handlers.get(fd) is handler
                ):  # else one before it has closed it, and the number may be reused
                    handler()
            self._check_time()

    def _watch(self, fd: int, events: int, handler: Callable[[], None]) -> None:
        self._poll.register(fd, events)
        self._handlers[fd] = handler

    def _unwatch(self, fd: int) -> None:
        if self._handlers.pop(fd, None):
            self._poll.unregister(fd)

    def _patience(self) -> int:
        """Milliseconds until the time has to be checked."""
        if any(child.end_by for child in self._calls.values()):
            return 100
        return max(0, int(1000 * (self._active + self._idle - time.monotonic()))) + 1

    def _check_time(self) -> None:
        now = time.monotonic()
        for child in self._calls.values():
            if child.end_by and child.end_by < now:
                _signal_group(child.pid, signal.SIGKILL)
        if not self._stopping and not self._calls and now >= self._active + self._idle:
            self._stop()

    # --- callers ---------------------------------------------------------------------------------

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._listener.accept()
            if wire.caller(connection)[1:] == (
                os.getuid(),
                os.getegid(),
            ):  # the group decides on files too
                self._watch(connection.fileno(), select.POLLIN, partial(self._greet, connection))
            else:
                connection.close()

    def _greet(self, connection: socket.socket) -> None:
        """Find out what a caller asks for."""
        self._unwatch(connection.fileno())
        request = b""
        with contextlib.suppress(OSError):
            request = connection.recv(1)
        if request == wire.CALL and not self._stopping:
            self._hand_over(connection)
            return
        with contextlib.suppress(OSError, ValueError, EOFError, TypeError):
            if request in (wire.STATUS, wire.STOP):
                connection.settimeout(1.0)
                environment, _ = wire.receive(connection)
                wire.send(connection, json.dumps(self._status(environment)).encode())
        if request == wire.STOP:
            self._stop_callers.append(
                connection
            )  # closed when this process ends: that is what the caller waits for
            self._stop()
        else:
            connection.close()

    def _hand_over(self, connection: socket.socket) -> None:
        child = self._spare or self._spawn()
        self._spare = None
        self._active = time.monotonic()
        child.connection = connection
        self._calls[child.pid] = child
        self._watch(
            connection.fileno(), select.POLLHUP, partial(self._hang_up, child, connection.fileno())
        )
        with contextlib.suppress(
            OSError
        ):  # a worker that has just died is noticed when it is reaped
            child.inlet.sendmsg([b"!"], [wire.rights(connection.fileno())])

    def _hang_up(self, child: _Child, fd: int) -> None:
        """A caller has gone: end its worker, as a terminal that closes ends its programs."""
        self._unwatch(fd)
        _signal_group(child.pid, signal.SIGHUP)
        _signal_group(child.pid, signal.SIGCONT)
        child.end_by = time.monotonic() + GRACE

    def _status(self, environment: bytes) -> dict[str, Any]:
        accepted = self._served + sum(child.progress.accepted for child in self._calls.values())
        return {
            "running": True, "pid": os.getpid(), "version": __version__, "torch": self._origin.torch,
            "calls": accepted, "uptime": round(time.monotonic() - self._began, 1), "idle": self._idle, "memory": _memory(),
            "fits": marshal.loads(environment) == self._origin.environment and self._origin.is_unchanged(),
        }  # fmt: skip

    def _stop(self) -> None:
        """Take no more calls."""
        if self._stopping:
            return
        self._stopping = True
        self._unwatch(self._listener.fileno())
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        self._listener.close()
        if self._spare is not None:
            self._spare.inlet.close()
            self._spare = None

    # --- workers ---------------------------------------------------------------------------------

    def _spawn(self) -> _Child:
        """A new worker, waiting for its call."""
        ours, theirs = socket.socketpair()
        progress = Progress()
        pid = spawn(
            lambda: server_worker.work(theirs, progress, self._program, self._origin), progress
        )
        theirs.close()
        return _Child(pid, ours, progress)

    def _handle_signals(self, wakeup: int) -> None:
        """Signals came: workers have ended, or this process is to end."""
        if set(os.read(wakeup, 512)) - {signal.SIGCHLD}:
            self._stop()
        with contextlib.suppress(ChildProcessError):  # there are no more
            # Reaped only after its group is ended: until then no other process can have its number.
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                _signal_group(ended.si_pid, signal.SIGKILL)
                _, status = os.waitpid(ended.si_pid, 0)
                self._reap(ended.si_pid, status)
        if self._spare is None and not self._stopping:
            self._spare = self._spawn()

    def _reap(self, pid: int, status: int) -> None:
        """Tell the caller how its worker ended, if the worker could not, and forget it."""
        child = self._calls.pop(pid, None)
        if child is None:
            child, self._spare = self._spare, None
        if child is None:  # the spare that a stop has let go
            return
        end = child.progress.end(status)
        if end.report:
            print(*end.report[1:], sep="\n", file=sys.stderr, flush=True)
        self._active = time.monotonic()
        self._served += child.progress.accepted
        child.inlet.close()
        if child.connection is not None:
            with contextlib.suppress(OSError):
                if os.WIFSIGNALED(status):
                    child.connection.send(wire.message(wire.DIED, os.WTERMSIG(status), *end.at))
                elif end.report:
                    child.connection.send(wire.message(wire.DONE, os.WEXITSTATUS(status)))
            self._unwatch(child.connection.fileno())
            child.connection.close()
        if os.waitstatus_to_exitcode(status) == server_worker.OUTDATED or (
            end.report and not child.connection
        ):
            self._stop()


def _signal_group(group: int, number: int) -> None:
    """Send a signal to a worker and all that it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _memory() -> int | None:
    """Bytes of memory that this process has in use, where the system tells."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def _listening(path: str) -> socket.socket:
    """The socket at `path`, in the place of one that a dead server may have left."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    listener.bind(path)
    os.umask(mask)
    listener.listen(BACKLOG)
    return listener


def _wakeup_fd() -> int:
    """A pipe into which every signal writes its number."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: None)
    return reader
