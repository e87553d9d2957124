"""A worker of the server: forked ahead, it waits for one call, becomes the caller's double, runs the program, and ends.

Becoming the double is all that sets a warm call apart: the three streams, the folder, the variables, the arguments and the
umask are the caller's, and from there on it is the program that a cold call runs.
"""

import contextlib
import marshal
import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Sequence
from typing import Any, NoReturn, TextIO

from gradcli.cli.main import run
from gradcli.errors import ExitStatus, fault, traceback_of
from gradcli.process import rehearsal, wire
from gradcli.process.rehearsal import Bounds, Loaded, bounds_of
from gradcli.process.supervise import Progress
from gradcli.world import World

AMPLE = 256
"""Open files that a call never needs, so that it is all the same which bound above it holds."""
OUTDATED = 3
"""The exit status of a worker that has found the program's source changed."""


def be_one(inlet: socket.socket, progress: Progress, loaded: Loaded) -> NoReturn:
    """Serve the one connection that the server may send through `inlet`, then exit."""
    status = 0
    try:
        _forget_the_server(inlet.fileno())
        if not select.select([inlet], [], [], 0)[0]:
            _rehearse(loaded)
        connection = _next_call(inlet)
        if connection is not None:
            status = _serve(connection, inlet, progress, loaded)
    finally:
        os._exit(status)


def _forget_the_server(inlet: int) -> None:
    """Signals as a cold call has them, a process group of its own, and none of the server's descriptors."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    os.setpgid(0, 0)
    os.closerange(3, inlet)
    os.closerange(inlet + 1, wire.DESCRIPTORS)


def _next_call(inlet: socket.socket) -> socket.socket | None:
    """The connection of a caller; None where the server has ended."""
    content, ancillary, _, _ = inlet.recvmsg(1, socket.CMSG_SPACE(4))
    return socket.socket(fileno=wire.descriptors(ancillary)[0]) if content else None


def _rehearse(loaded: Loaded) -> None:
    """Serve a call made here, while nobody waits: a fork pays for its first touch of each page of memory."""
    ours, theirs = socket.socketpair()
    root, nowhere = os.open("/", os.O_RDONLY), os.open(os.devnull, os.O_RDWR)
    call = (loaded.surroundings, rehearsal.CALLS[-1].split(), dict(os.environ), 0, [("utf-8", "strict")] * 3)
    wire.send(ours, marshal.dumps(call), root, nowhere, nowhere, nowhere)
    os.close(root)
    os.close(nowhere)
    _serve(theirs, theirs, Progress(), loaded)


def _serve(connection: socket.socket, server: socket.socket, progress: Progress, loaded: Loaded) -> int:
    """Answer one caller, once the server knows that the call is accepted; what this process then ends with."""
    connection.settimeout(5.0)  # a caller that says nothing
    try:
        connection.send(wire.message(wire.READY))
        changed = not loaded.sources.unchanged()  # meanwhile the caller packs what it sends
        call, descriptors = wire.receive(connection)
        surroundings, arguments, environ, mask, streams = marshal.loads(call)
    except (OSError, EOFError, ValueError, TypeError):
        return 0
    if changed or surroundings != loaded.surroundings or not _bounded_alike(wire.caller(connection)[0], loaded.bounds):
        signal.signal(
            signal.SIGHUP, signal.SIG_IGN
        )  # the caller hangs up at once, and what this process ends with counts
        connection.send(wire.message(wire.REFUSED))
        return OUTDATED if changed else 0
    connection.settimeout(None)
    _become(descriptors, arguments, environ, mask, streams)
    loaded.restore_threads()
    try:
        connection.send(wire.message(wire.ACCEPTED, os.getpid()))
    except OSError:  # the caller has given up and runs it cold
        return 0
    with contextlib.suppress(OSError):  # a server that has just died counts no more
        server.send(b"!")
    status: int = ExitStatus.FAULT
    try:
        status = run(arguments, World.current(), progress)
    except Exception as error:  # raised outside of what `run` reports by itself
        with contextlib.suppress(OSError):
            os.write(2, f"error: {fault(error)}\n{traceback_of(error, os.environ)}".encode())
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    with contextlib.suppress(OSError):
        connection.send(wire.message(wire.DONE, status))
    return 0


def _bounded_alike(process: int, bounds: Bounds) -> bool:
    """Take over niceness, policy and bounds of the caller's process; whether this one is bounded as a cold call would be.

    Loading counts against the bounds of processor time and memory, and this process has it behind it: bounds that are not
    the server's own are not taken over but make the call cold. Only that of open files is, where it is ample, because it
    differs from one terminal program to the next.
    """
    if not process:  # the system does not tell who calls
        return True
    try:
        theirs = bounds_of(process)
        files = {resource.RLIMIT_NOFILE: theirs[resource.RLIMIT_NOFILE]} if theirs else {}
        if {**bounds, **files} != theirs or any(soft < AMPLE for soft, _ in files.values()):
            return False
        for number, both in files.items():
            resource.setrlimit(number, both)
        if (nice := os.getpriority(os.PRIO_PROCESS, process)) != os.getpriority(os.PRIO_PROCESS, 0):
            os.setpriority(os.PRIO_PROCESS, 0, nice)
        return os.sched_getscheduler(process) == os.sched_getscheduler(0)
    except (OSError, ValueError):  # what a process has given away it may not take back
        return False


def _become(
    descriptors: Sequence[int], arguments: list[str], environ: dict[str, str], mask: int, streams: Sequence[Any]
) -> None:
    """Make this process the double of the caller's."""
    here, *open_streams = descriptors
    os.fchdir(here)
    os.close(here)
    os.umask(mask)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["gradcli", *arguments]
    given = iter(open_streams)
    found = [_stream(target, next(given) if stream else None, stream) for target, stream in enumerate(streams)]
    sys.stdin, sys.stdout, sys.stderr = found


def _stream(target: int, fd: int | None, stream: tuple[str, str] | None) -> TextIO | None:
    """One of the three streams as Python makes it, in the caller's encoding; None where the caller's is closed."""
    if fd is None or stream is None:
        os.close(target)
        return None
    os.dup2(fd, target)
    os.close(fd)
    encoding, errors = stream
    if target == 0:
        return open(0, encoding=encoding, errors=errors, closefd=False)
    return open(target, "w", buffering=1 if target == 2 else -1, encoding=encoding, errors=errors, closefd=False)
