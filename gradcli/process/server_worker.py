"""A worker of the server: forked in advance, it waits for one call, takes over the client's
streams, folder, environment variables, arguments and umask, and runs the program of a cold call.
"""

import contextlib
import marshal
import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TextIO

from gradcli.errors import ExitStatus, fault, traceback_of
from gradcli.process import deferral, wire
from gradcli.process.guards import loading_pytorch, release_memory
from gradcli.process.sources import Files, Watched, states
from gradcli.process.worker import Progress

ENOUGH_FILES = 256
"""A number of open files that no call needs: any limit above it gives the same result."""
UNCHANGED, OUTDATED = b"=", b"!"
"""What the server tells a worker about the files of the program, after it has sent the connection."""
IDLE = 3.0
"""Seconds without a call after which a worker keeps less memory: the next call takes a millisecond
longer."""
USED = 3
"""The exit status of a worker that has used deferred modules of PyTorch, which takes a second."""

Bounds = dict[int, tuple[int, int]]
"""The limits of a process as `ulimit` shows them: soft and hard for each resource."""
_RESOURCES = {getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")}


@dataclass(frozen=True)
class Program:
    """What a server serves: functions that load it part by part, run a call, and run one without
    output, the last two for their exit status; calls to run once after loading, the first of them
    in each worker too; and its libraries.
    """

    load: Callable[[], Iterator[None]]
    run: Callable[[list[str], Progress], int]
    try_out: Callable[[str], int]
    calls: tuple[str, ...]
    libraries: tuple[str, ...]


@dataclass(frozen=True)
class Origin:
    """The files and surroundings that a server was loaded with: a call runs cold if its environment
    or limits differ, or if a file has changed.
    """

    environment: tuple[str, str, list[int], list[tuple[str, str]]]
    files: Watched
    bounds: Bounds
    torch: str
    threads: int

    def restore_threads(self) -> None:
        """Use as many threads as a cold call. The server has one: a pool does not survive a fork."""
        import torch

        torch.set_num_threads(self.threads)


def load(program: Program, files: Files) -> Origin:
    """Load PyTorch for a program with these files; to be called before any other use of PyTorch."""
    environment = wire.environment()
    with loading_pytorch():
        import torch

        for name in program.libraries:
            import_module(name)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    libraries = states(path for name in program.libraries if (path := sys.modules[name].__file__))
    watched = Watched({**files, **libraries})
    return Origin(environment, watched, bounds_of(0), torch.__version__, threads)


def prepare(program: Program) -> Iterator[None]:
    """Load a program, and run its calls once, part by part."""
    yield from program.load()
    import torch

    # With an accelerator the first backward pass starts threads, which a fork does not have.
    if not (torch.version.cuda or torch.version.hip or torch.backends.mps.is_built()):
        for words in program.calls:
            program.try_out(words)
            yield


def complete() -> Iterator[None]:
    """Execute the modules of PyTorch that have been deferred, because a call has used some."""
    deferral.Incomplete.deferral.execute()
    yield


def bounds_of(process: int) -> Bounds:
    """The limits of a process of this user, 0 for this one; empty if the system has no prlimit.

    Raises OSError if there is no such process.
    """
    if not hasattr(resource, "prlimit"):
        return {}
    return {number: resource.prlimit(process, number) for number in _RESOURCES}


def work(inlet: socket.socket, progress: Progress, program: Program, origin: Origin) -> int:
    """Serve the one connection that the server may send through `inlet`; return the exit status."""
    _leave_the_server(inlet.fileno())
    origin.restore_threads()
    was_used = deferral.is_used()
    if not select.select([inlet], [], [], 0)[0]:  # no client waits
        _rehearse(program, origin)
    if not select.select([inlet], [], [], IDLE)[0]:
        release_memory()
    content, ancillary, _, _ = inlet.recvmsg(1, socket.CMSG_SPACE(4))
    if not content:  # the server has ended
        return 0
    with socket.socket(fileno=wire.unpack_descriptors(ancillary)[0]) as connection:
        answer(connection, inlet, progress, program, origin)
    return USED if deferral.is_used() > was_used else 0


def _rehearse(program: Program, origin: Origin) -> None:
    """Answer a call as if a client had made it.

    A fork pays for its first write to each page of memory: here before a client waits.
    """
    connection, client = socket.socketpair()
    inlet, server = socket.socketpair()
    folder, null = os.open("/", os.O_RDONLY), os.open(os.devnull, os.O_RDWR)
    words = program.calls[0].split()[1:]
    call = (origin.environment, words, dict(os.environ), 0o22, [("utf-8", "strict")] * 3)
    wire.send(client, marshal.dumps(call), folder, null, null, null)
    server.send(UNCHANGED)
    answer(connection, inlet, Progress(), program, origin)
    for end in (connection, client, inlet, server):
        end.close()
    os.close(folder)
    os.close(null)
    for number, both in origin.bounds.items():  # the call has bounded its memory
        resource.setrlimit(number, both)


def _leave_the_server(inlet: int) -> None:
    """Reset the signals, make a process group, and close the server's descriptors."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    os.setpgid(0, 0)
    wire.close_all_but(inlet)


def answer(
    connection: socket.socket, inlet: socket.socket, progress: Progress, program: Program,
    origin: Origin
) -> None:  # fmt: skip
    """Answer one client once the server has told through `inlet` that the files have not changed."""
    connection.settimeout(5.0)  # the client may send nothing
    try:
        connection.send(wire.message(wire.READY))
        call, descriptors = wire.receive(connection)
        environment, arguments, environ, mask, streams = marshal.loads(call)
        same = environment == origin.environment
        if not (same and _adopt_limits(wire.peer(connection)[0], origin.bounds)):
            connection.send(wire.message(wire.REFUSED))
            return
        connection.settimeout(None)
        _adopt(descriptors, arguments, environ, mask, streams)
        if inlet.recv(1) != UNCHANGED:
            connection.send(wire.message(wire.REFUSED))
            return
        connection.send(wire.message(wire.ACCEPTED, os.getpid()))
    except (OSError, EOFError, ValueError, TypeError):
        return  # the client gave up, sent nonsense, or its folder cannot be entered: cold
    progress.accept()
    status: int = ExitStatus.FAULT
    try:
        status = program.run(arguments, progress)
    except Exception as error:  # which `run` has not reported itself
        with contextlib.suppress(OSError):
            os.write(2, f"error: {fault(error)}\n{traceback_of(error, os.environ)}".encode())
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    with contextlib.suppress(OSError):
        connection.send(wire.message(wire.DONE, status))


def _adopt_limits(process: int, bounds: Bounds) -> bool:
    """Take over niceness and limits of the client's process; return whether this process is now
    limited as a cold call would be.

    Loading counts against the limits of CPU time and memory, and it is done already: limits that
    differ from the server's make the call cold. Only that of open files is taken over, if it is
    high enough, because it differs from one terminal program to the next.
    """
    if not process:  # the system does not report the client's process
        return True
    try:
        theirs = bounds_of(process)
        files = {resource.RLIMIT_NOFILE: theirs[resource.RLIMIT_NOFILE]} if theirs else {}
        if {**bounds, **files} != theirs or any(soft < ENOUGH_FILES for soft, _ in files.values()):
            return False
        for number, both in files.items():
            resource.setrlimit(number, both)
        if (nice := os.getpriority(os.PRIO_PROCESS, process)) != os.getpriority(os.PRIO_PROCESS, 0):
            os.setpriority(os.PRIO_PROCESS, 0, nice)
        return os.sched_getscheduler(process) == os.sched_getscheduler(0)
    except (OSError, ValueError):  # a process cannot raise a limit that it has lowered
        return False


def _adopt(
    descriptors: list[int], arguments: list[str], environ: dict[str, str], mask: int, streams: Any
) -> None:
    """Give this process the client's folder, umask, variables, arguments and streams."""
    folder, *open_streams = descriptors
    os.fchdir(folder)
    os.close(folder)
    os.umask(mask)
    for name in os.environ.keys() - environ.keys():
        del os.environ[name]
    os.environ.update(environ.items() - os.environ.items())
    sys.argv = ["gradcli", *arguments]
    fds = iter(open_streams)
    sys.stdin, sys.stdout, sys.stderr = [
        _stream(target, fds, stream) for target, stream in enumerate(streams)
    ]


def _stream(target: int, fds: Iterator[int], stream: tuple[str, str] | None) -> TextIO | None:
    """The stream `target` as Python makes it, in the client's encoding; None if the client's is
    closed, and then `fds` has no descriptor for it.
    """
    if stream is None:
        os.close(target)
        return None
    fd = next(fds)
    os.dup2(fd, target)
    os.close(fd)
    buffering = 1 if target == 2 else -1
    return open(target, "w" if target else "r", buffering, *stream, closefd=False)
