"""The server: a process that has PyTorch loaded and does nothing but fork; one worker is always ready for the next call.

It reads one byte of a caller, to know what is wanted, and hands the connection over to a worker. What is left to it is what
only a worker's parent can do: say what it died of, and end what it leaves behind. It never computes.
"""

import contextlib
import json
import marshal
import os
import select
import signal
import socket
import time
from dataclasses import dataclass
from typing import Any

from gradcli import __version__
from gradcli.process import wire, worker
from gradcli.process.rehearsal import Loaded, load
from gradcli.process.supervise import Progress

BACKLOG = 128
GRACE = 2.0
"""Seconds that a worker whose caller has gone may take to clean up."""


@dataclass
class _Child:
    """A worker, and what its parent holds of it.

    `inlet` leads to it, and back from it comes one byte once it has accepted a call; `connection` is that of the call.
    """

    pid: int
    inlet: socket.socket
    progress: Progress
    connection: socket.socket | None = None
    end_by: float | None = None


class Server:
    """Accepts callers at `path` until nobody has called for `idle` seconds, or it is told to stop."""

    def __init__(self, path: str, loaded: Loaded, idle: float) -> None:
        self._path = path
        self._loaded = loaded
        self._idle = idle
        self._served = 0
        self._began = self._active = time.monotonic()
        self._stopping = False
        self._spare: _Child | None = None
        self._calls: dict[int, _Child] = {}
        self._greetings: dict[int, socket.socket] = {}
        self._partings: list[socket.socket] = []
        self._poll = select.poll()
        self._listener = _listening(path)
        self._bell = _bell()
        self._poll.register(self._listener.fileno(), select.POLLIN)
        self._poll.register(self._bell, select.POLLIN)

    def run(self) -> None:
        """Serve until the end; calls that are under way then are waited for."""
        self._spare = self._hatched()
        while not (self._stopping and not self._calls):
            for fd, event in self._poll.poll(self._patience()):
                if fd == self._listener.fileno():
                    self._accept()
                elif fd == self._bell:
                    self._rung()
                elif fd in self._greetings:
                    self._greet(fd)
                elif event & (select.POLLHUP | select.POLLERR):
                    self._hang_up(fd)
            self._look_at_the_clock()

    def _patience(self) -> int:
        """Milliseconds until the clock has to be looked at."""
        if any(child.end_by for child in self._calls.values()):
            return 100
        return max(0, int(1000 * (self._active + self._idle - time.monotonic()))) + 1

    def _look_at_the_clock(self) -> None:
        now = time.monotonic()
        for child in self._calls.values():
            if child.end_by and child.end_by < now:
                _tell(child.pid, signal.SIGKILL)
        if not self._stopping and not self._calls and now >= self._active + self._idle:
            self._stop()

    # --- callers ---

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._listener.accept()
            if _is_ours(connection):
                self._greetings[connection.fileno()] = connection
                self._poll.register(connection.fileno(), select.POLLIN)
            else:
                connection.close()

    def _greet(self, fd: int) -> None:
        """Find out what a caller wants."""
        connection = self._greetings.pop(fd)
        self._poll.unregister(fd)
        wanted = b""
        with contextlib.suppress(OSError):
            wanted = connection.recv(1)
        if wanted == wire.CALL and not self._stopping:
            self._hand_over(connection)
            return
        with contextlib.suppress(OSError, ValueError, EOFError, TypeError):
            if wanted in (wire.STATUS, wire.STOP):
                connection.settimeout(1.0)
                theirs, _ = wire.receive(connection)
                wire.send(connection, json.dumps(self._status(theirs)).encode())
        if wanted == wire.STOP:
            self._partings.append(connection)  # closed by this process's end: that is what the caller waits for
            self._stop()
        else:
            connection.close()

    def _hand_over(self, connection: socket.socket) -> None:
        child = self._spare or self._hatched()
        self._spare = None
        self._active = time.monotonic()
        child.connection = connection
        self._calls[child.pid] = child
        self._poll.register(connection.fileno(), select.POLLHUP)
        with contextlib.suppress(OSError):  # a worker that has just died is met when it is collected
            child.inlet.sendmsg([b"!"], [wire.rights(connection.fileno())])

    def _hang_up(self, fd: int) -> None:
        """A caller has gone: end its worker, as a terminal that closes ends its programs."""
        for child in self._calls.values():
            if child.connection is not None and child.connection.fileno() == fd:
                self._poll.unregister(fd)
                _tell(child.pid, signal.SIGHUP)
                _tell(child.pid, signal.SIGCONT)
                child.end_by = time.monotonic() + GRACE

    def _status(self, surroundings: bytes) -> dict[str, Any]:
        accepted = self._served + sum(map(_has_accepted, self._calls.values()))
        return {
            "running": True, "pid": os.getpid(), "version": __version__, "torch": self._loaded.torch,
            "calls": accepted, "uptime": round(time.monotonic() - self._began, 1), "idle": self._idle, "memory": _memory(),
            "fits": marshal.loads(surroundings) == self._loaded.surroundings and self._loaded.sources.unchanged(),
        }  # fmt: skip

    def _stop(self) -> None:
        """Take no more calls."""
        self._stopping = True
        self._poll.unregister(self._listener.fileno())
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        self._listener.close()
        if self._spare is not None:
            self._spare.inlet.close()
            self._spare = None

    # --- workers ---

    def _hatched(self) -> _Child:
        """A new worker, waiting for its call."""
        ours, theirs = socket.socketpair()
        progress = Progress()
        pid = os.fork()
        if pid == 0:
            worker.be_one(theirs, progress, self._loaded)
        theirs.close()
        return _Child(pid, ours, progress)

    def _rung(self) -> None:
        """A signal came: workers have ended, or this process is to end."""
        rung = os.read(self._bell, 512)
        if set(rung) - {signal.SIGCHLD} and not self._stopping:
            self._stop()
        while True:
            try:
                # Collected only after its group is ended: until then nobody else can have its number.
                ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                break
            if ended is None:
                break
            _tell(ended.si_pid, signal.SIGKILL)
            _, status = os.waitpid(ended.si_pid, 0)
            self._bury(ended.si_pid, status)
        if self._spare is None and not self._stopping:
            self._spare = self._hatched()

    def _bury(self, pid: int, status: int) -> None:
        if self._spare is not None and self._spare.pid == pid:
            child, self._spare = self._spare, None
        else:
            child = self._calls.pop(pid)
        self._active = time.monotonic()
        self._served += _has_accepted(child)
        child.inlet.close()
        if child.connection is not None:
            if os.WIFSIGNALED(status):
                with contextlib.suppress(OSError):
                    child.connection.send(wire.message(wire.DIED, os.WTERMSIG(status), *child.progress.where()))
            if not child.end_by:
                self._poll.unregister(child.connection.fileno())
            child.connection.close()
        child.progress.close()
        if os.waitstatus_to_exitcode(status) == worker.OUTDATED and not self._stopping:
            self._stop()


def _has_accepted(child: _Child) -> bool:
    """Whether a worker has said that it took its call on."""
    try:
        return child.inlet.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) != b""
    except OSError:
        return False


def _tell(group: int, number: int) -> None:
    """Send a signal to a worker and all that it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _is_ours(connection: socket.socket) -> bool:
    """Whether the caller is this user, in the same group, which decides on files too."""
    return wire.caller(connection)[1:] == (os.getuid(), os.getegid())


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


def _bell() -> int:
    """A pipe in which every signal leaves its number."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: None)
    return reader


def main(path: str, idle: float) -> None:
    """Load PyTorch, serve at `path`, and end without PyTorch's teardown."""
    Server(path, load(), idle).run()
    os._exit(0)
