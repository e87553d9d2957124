"""A worker of the server: forked ahead, it waits for one call, takes on the caller's surroundings,
and runs the program.

Nothing else sets a warm call apart: the three streams, the folder, the variables, the arguments and
the umask are the caller's, and from there on it is the program that a cold call runs.
"""

import contextlib
import gc
import marshal
import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from gradcli.errors import ExitStatus, fault, traceback_of
from gradcli.process import wire
from gradcli.process.worker import Progress

ENOUGH_FILES = 256
"""Open files that a call never needs, so that it makes no difference which bound above it holds."""
OUTDATED = 3
"""The exit status of a worker that has found the program's source changed."""

Bounds = dict[int, tuple[int, int]]
"""What `ulimit` shows of a process: the soft and the hard bound of each resource."""
Files = dict[str, tuple[int, int, int]]
"""Files with the time of their last change, their size, and their number in the file system."""
_RESOURCES = {getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")}


@dataclass(frozen=True)
class Program:
    """What a server serves: functions that load it, run a call, and try one without output; calls
    to try, and its libraries.

    The last of the calls is tried in each worker too.
    """

    load: Callable[[], None]
    run: Callable[[list[str], Progress], int]
    try_out: Callable[[str], None]
    calls: tuple[str, ...]
    libraries: tuple[str, ...]


@dataclass(frozen=True)
class Origin:
    """What a server was loaded from and in. A call runs cold if its environment or bounds differ,
    or a file has changed.
    """

    environment: tuple[str, str, list[int], list[tuple[str, str]]]
    files: Files
    bounds: Bounds
    torch: str
    threads: int

    def is_unchanged(self) -> bool:
        """Whether a process started now would load the same files."""
        try:
            return states(self.files) == self.files
        except OSError:
            return False

    def restore_threads(self) -> None:
        """Let PyTorch compute with as many threads as in a cold call. The server has one: a pool
        does not survive a fork.
        """
        import torch

        torch.set_num_threads(self.threads)


def load(program: Program) -> Origin:
    """Load a program and try its calls. To be called once, before any other use of PyTorch."""
    environment = wire.environment()
    own = [
        os.path.join(folder, name) for folder, _, names in os.walk(wire.PACKAGE) for name in names
    ]
    files = states(path for path in own if path.endswith((".py", ".txt")))
    gc.disable()  # nothing of what loading makes is garbage
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    program.load()
    if not (torch.version.cuda or torch.version.hip or torch.backends.mps.is_built()):
        for words in (
            program.calls
        ):  # with an accelerator the first backward pass starts threads, which no fork has
            program.try_out(words)
    files |= states(path for name in program.libraries if (path := sys.modules[name].__file__))
    gc.enable()
    gc.collect()
    gc.freeze()  # a collection in a worker would write to every object, and so copy every page
    return Origin(environment, files, bounds_of(0), torch.__version__, threads)


def states(paths: Iterable[str]) -> Files:
    """What shows that a file has changed."""
    return {
        path: (found.st_mtime_ns, found.st_size, found.st_ino)
        for path in paths
        for found in [os.stat(path)]
    }


def bounds_of(process: int) -> Bounds:
    """The bounds of a process of this user, 0 for this one; none where the system does not tell.

    Raises OSError where there is no such process.
    """
    if not hasattr(resource, "prlimit"):
        return {}
    return {number: resource.prlimit(process, number) for number in _RESOURCES}


def work(inlet: socket.socket, progress: Progress, program: Program, origin: Origin) -> int:
    """Serve the one connection that the server may send through `inlet`; what this process then
    exits with.
    """
    _leave_the_server(inlet.fileno())
    origin.restore_threads()
    if not select.select([inlet], [], [], 0)[0]:
        program.try_out(
            program.calls[-1]
        )  # while nobody waits: a fork pays for its first touch of each page of memory
    content, ancillary, _, _ = inlet.recvmsg(1, socket.CMSG_SPACE(4))
    if not content:  # the server has ended
        return 0
    return answer(socket.socket(fileno=wire.descriptors(ancillary)[0]), progress, program, origin)


def _leave_the_server(inlet: int) -> None:
    """Signals as a cold call has them, a process group of its own, and none of the server's
    descriptors.
    """
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    os.setpgid(0, 0)
    os.closerange(3, inlet)
    os.closerange(inlet + 1, wire.DESCRIPTORS)


def answer(connection: socket.socket, progress: Progress, program: Program, origin: Origin) -> int:
    """Answer one caller, once the server knows that the call is accepted; what this process then
    exits with.
    """
    connection.settimeout(5.0)  # a caller that sends nothing
    try:
        connection.send(wire.message(wire.READY))
        changed = not origin.is_unchanged()  # meanwhile the caller packs what it sends
        call, descriptors = wire.receive(connection)
        environment, arguments, environ, mask, streams = marshal.loads(call)
    except (OSError, EOFError, ValueError, TypeError):
        return 0
    if (
        changed
        or environment != origin.environment
        or not _take_on_bounds(wire.caller(connection)[0], origin.bounds)
    ):
        signal.signal(
            signal.SIGHUP, signal.SIG_IGN
        )  # the caller hangs up now, and what this process exits with counts
        with contextlib.suppress(OSError):
            connection.send(wire.message(wire.REFUSED))
        return OUTDATED if changed else 0
    connection.settimeout(None)
    try:
        _take_on(descriptors, arguments, environ, mask, streams)
        connection.send(wire.message(wire.ACCEPTED, os.getpid()))
    except (
        OSError,
        ValueError,
    ):  # the caller has given up, or its folder cannot be entered: it runs cold
        return 0
    progress.accept()
    status: int = ExitStatus.FAULT
    try:
        status = program.run(arguments, progress)
    except Exception as error:  # raised outside of what `run` reports by itself
        with contextlib.suppress(OSError):
            os.write(2, f"error: {fault(error)}\n{traceback_of(error, os.environ)}".encode())
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    with contextlib.suppress(OSError):
        connection.send(wire.message(wire.DONE, status))
    return 0


def _take_on_bounds(process: int, bounds: Bounds) -> bool:
    """Take on niceness, policy and bounds of the caller's process; whether this one is bounded as a
    cold call would be.

    Loading counts against the bounds of processor time and memory, and here it is done already:
    bounds that differ from the server's own are not taken on but make the call cold. Only that of
    open files is, where it is high enough, because it differs from one terminal program to the
    next.
    """
    if not process:  # the system does not tell who calls
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
    except (OSError, ValueError):  # a process cannot take back what it has given away
        return False


def _take_on(
    descriptors: Sequence[int],
    arguments: list[str],
    environ: dict[str, str],
    mask: int,
    streams: Sequence[Any],
) -> None:
    """Give this process the folder, umask, variables, arguments and streams of the caller's."""
    here, *open_streams = descriptors
    os.fchdir(here)
    os.close(here)
    os.umask(mask)
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["gradcli", *arguments]
    given = iter(open_streams)
    found = [
        _stream(target, next(given) if stream else None, stream)
        for target, stream in enumerate(streams)
    ]
    sys.stdin, sys.stdout, sys.stderr = found


def _stream(target: int, fd: int | None, stream: tuple[str, str] | None) -> TextIO | None:
    """One of the three streams as Python makes it, in the caller's encoding; None where the
    caller's is closed.
    """
    if fd is None or stream is None:
        os.close(target)
        return None
    os.dup2(fd, target)
    os.close(fd)
    encoding, errors = stream
    if target == 0:
        return open(0, encoding=encoding, errors=errors, closefd=False)
    return open(
        target,
        "w",
        buffering=1 if target == 2 else -1,
        encoding=encoding,
        errors=errors,
        closefd=False,
    )
