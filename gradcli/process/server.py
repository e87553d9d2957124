"""The server: a process that has loaded PyTorch and only forks; spare workers are always ready.

It reads one byte of a client, the kind of request, and hands the connection over to a worker. It
does itself what only a worker's parent can do: report the signal that ended the worker, and end the
processes that the worker has started. It answers as soon as PyTorch is loaded; while nobody calls,
it loads what workers would, a part at a time, and from then on it never computes.
"""

import contextlib
import gc
import json
import marshal
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any

from gradcli import __version__
from gradcli.process import server_worker, wire
from gradcli.process.fork import spawn
from gradcli.process.guards import release_memory
from gradcli.process.server_worker import Origin, Program
from gradcli.process.sources import Files
from gradcli.process.worker import Progress

BACKLOG = 128
SPARES = 2
"""Workers that wait for a call: one may still be getting ready when a loop makes its next call."""
GARBAGE = 20_000
"""Objects, those of a hundred small calls, that a worker allocates before a garbage collection."""
FIRST = 0.05
"""Seconds after PyTorch is loaded in which a server answers only."""
GRACE = 2.0
"""Seconds that a worker may take to clean up after its client has disconnected."""


def serve(path: str, idle: float, program: Program, files: Files, owner: int) -> None:
    """Load a program with these files, serve it at `path`, and exit without PyTorch's teardown."""
    Server(path, idle, program, server_worker.load(program, files), owner).run()
    os._exit(0)


@dataclass
class _Child:
    """A worker as its parent sees it: `inlet` is its socket, `connection` that of its call."""

    pid: int
    inlet: socket.socket
    progress: Progress
    connection: socket.socket | None = None
    end_by: float | None = None


class Server:
    """Accepts clients at `path` until `idle` seconds without a call, or a request to stop, or until
    the other end of the descriptor `owner` is closed.
    """

    def __init__(
        self, path: str, idle: float, program: Program, origin: Origin, owner: int = -1
    ) -> None:
        self._path = path
        self._idle = idle
        self._program = program
        self._origin = origin
        self._served = 0
        self._began = self._active = time.monotonic()
        self._stopping = False
        self._spares: list[_Child] = []
        self._prepare: Iterator[None] | None = server_worker.prepare(program)
        self._calls: dict[int, _Child] = {}
        self._stop_clients: list[socket.socket] = []
        self._poll = select.poll()
        self._handlers: dict[int, Callable[[], None]] = {}
        self._listener = _listening(path)
        self._watch(self._listener.fileno(), select.POLLIN, self._accept)
        if owner >= 0:
            self._watch(owner, select.POLLIN, partial(self._lose_owner, owner))
        wakeup = _wakeup_fd()
        self._watch(wakeup, select.POLLIN, partial(self._handle_signals, wakeup))

    def run(self) -> None:
        """Serve until a stop; then wait for the calls that are still running."""
        while not self._stopping or self._calls:
            ready = [(fd, self._handlers[fd]) for fd, _ in self._poll.poll(self._patience())]
            for fd, handler in ready:
                # An earlier handler may have closed this descriptor, and its number may be reused.
                if self._handlers.get(fd) is handler:
                    handler()
            if not ready and self._prepare:
                self._go_on()
            self._check_time()

    def _go_on(self) -> None:
        """Load the next part of the program; fork the spare workers once all of it is loaded."""
        gc.disable()  # loading makes no garbage
        for _ in self._prepare or ():
            gc.freeze()  # a collection in a worker would write to all objects, and so copy all pages
            return
        self._prepare = None
        release_memory()
        gc.set_threshold(GARBAGE)
        gc.enable()
        self._top_up()

    def _watch(self, fd: int, events: int, handler: Callable[[], None]) -> None:
        self._poll.register(fd, events)
        self._handlers[fd] = handler

    def _unwatch(self, fd: int) -> None:
        if self._handlers.pop(fd, None):
            self._poll.unregister(fd)

    def _patience(self) -> int:
        """Milliseconds until the time has to be checked, or the next part of the program loaded."""
        if self._prepare:  # who started it is answered first
            return max(0, int(1000 * (self._began + FIRST - time.monotonic())))
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

    def _lose_owner(self, owner: int) -> None:
        self._unwatch(owner)
        self._stop()

    # --- clients ---------------------------------------------------------------------------------

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            connection, _ = self._listener.accept()
            # The group must be the same too: it decides which files can be read.
            if wire.peer(connection)[1:] == (os.getuid(), os.getegid()):
                handler = partial(self._read_request, connection)
                self._watch(connection.fileno(), select.POLLIN, handler)
            else:
                connection.close()

    def _read_request(self, connection: socket.socket) -> None:
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
            self._stop_clients.append(connection)  # the client waits until this process closes it
            self._stop()
        else:
            connection.close()

    def _hand_over(self, connection: socket.socket) -> None:
        child = self._spares.pop(0) if self._spares else self._spawn()
        self._active = time.monotonic()
        child.connection = connection
        self._calls[child.pid] = child
        fd = connection.fileno()
        self._watch(fd, select.POLLHUP, partial(self._hang_up, child, fd))
        with contextlib.suppress(OSError):  # the worker has just died, and is reaped next
            child.inlet.sendmsg([b"!"], [wire.pack_descriptors(fd)])
            # The worker takes over the client's surroundings meanwhile.
            unchanged = self._origin.files.unchanged()
            child.inlet.send(server_worker.UNCHANGED if unchanged else server_worker.OUTDATED)
            if not unchanged:
                self._stop()

    def _hang_up(self, child: _Child, fd: int) -> None:
        """End the worker of a client that has disconnected, as a closing terminal ends its programs."""
        self._unwatch(fd)
        _signal_group(child.pid, signal.SIGHUP)
        _signal_group(child.pid, signal.SIGCONT)
        child.end_by = time.monotonic() + GRACE

    def _status(self, environment: bytes) -> dict[str, Any]:
        accepted = self._served + sum(child.progress.accepted for child in self._calls.values())
        return {
            "running": True, "pid": os.getpid(), "version": __version__, "torch": self._origin.torch,
            "calls": accepted, "uptime": round(time.monotonic() - self._began, 1), "idle": self._idle, "memory": _memory(),
            "fits": marshal.loads(environment) == self._origin.environment and self._origin.files.unchanged(),
        }  # fmt: skip

    def _stop(self) -> None:
        """Accept no more calls."""
        if self._stopping:
            return
        self._stopping = True
        self._unwatch(self._listener.fileno())
        with contextlib.suppress(OSError):
            os.unlink(self._path)
        self._listener.close()
        self._prepare = None
        self._release_spares()

    def _release_spares(self) -> None:
        for spare in self._spares:
            spare.inlet.close()
        self._spares.clear()

    # --- workers ---------------------------------------------------------------------------------

    def _spawn(self) -> _Child:
        """Fork a worker that waits for a call."""
        ours, theirs = socket.socketpair()
        progress = Progress()
        work = partial(server_worker.work, theirs, progress, self._program, self._origin)
        pid = spawn(work, progress)
        theirs.close()
        return _Child(pid, ours, progress)

    def _top_up(self) -> None:
        """Fork spare workers until there are enough."""
        while len(self._spares) < SPARES and not self._stopping and not self._prepare:
            self._spares.append(self._spawn())

    def _handle_signals(self, wakeup: int) -> None:
        """Handle the signals that came: workers have ended, or this process has to stop."""
        if set(os.read(wakeup, 512)) - {signal.SIGCHLD}:
            self._stop()
        with contextlib.suppress(ChildProcessError):  # there are no more
            # A worker is reaped after its group: until then no other process can have its number.
            while ended := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                _signal_group(ended.si_pid, signal.SIGKILL)
                _, status = os.waitpid(ended.si_pid, 0)
                self._reap(ended.si_pid, status)
        self._top_up()

    def _reap(self, pid: int, status: int) -> None:
        """Remove a worker that has ended; report its end to the client if the worker could not."""
        child = self._calls.pop(pid, None)
        if child is None:
            child = next((spare for spare in self._spares if spare.pid == pid), None)
            if child is None:  # a spare worker that `_stop` has released
                return
            self._spares.remove(child)
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
        if end.report and not child.connection:  # the next spare would fail too
            self._stop()
        if os.waitstatus_to_exitcode(status) == server_worker.USED and not self._stopping:
            self._release_spares()
            self._prepare = chain(self._prepare or (), server_worker.complete())


def _signal_group(group: int, number: int) -> None:
    """Send a signal to a worker and to all processes that it has started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _memory() -> int | None:
    """The resident memory of this process in bytes; None if the system does not report it."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return None


def _listening(path: str) -> socket.socket:
    """A socket that listens at `path`, in place of one that a dead server may have left."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    listener.bind(path)
    os.umask(mask)
    listener.listen(BACKLOG)
    return listener


def _wakeup_fd() -> int:
    """The reading end of a pipe to which every signal writes its number."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, frame: None)
    return reader
