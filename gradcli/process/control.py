"""Start, stop and query the server from another process.

The process that holds the lock is the server, or will be: whoever starts the server takes the lock
and passes it on, so that two starts at once give one server, and a free lock means no server.
"""

import fcntl
import json
import marshal
import os
import select
import signal
import socket
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import Any

from gradcli.errors import FileError, GradcliError
from gradcli.process import wire
from gradcli.process.sources import Files, sources

IDLE = 30 * 60.0
"""Seconds without a call after which a server ends, by default."""
PATIENCE = 120.0
"""Seconds that loading PyTorch may take."""
BEHIND = 5.0
"""Seconds that a server waits for the end of the call that leaves it: the processors are its own."""
_ENDLESS = 1e6
"""Seconds without a call after which a server ends that somebody owns: more than a week."""
_HINT = "set XDG_RUNTIME_DIR to a folder that you own, with a short path"


def status() -> dict[str, Any] | None:
    """The status of the server; None if none is running."""
    return _request(wire.STATUS)


def start(module: str, idle: float = IDLE) -> tuple[dict[str, Any], bool]:
    """The status of the server once it is running, and whether this call started it.

    A new server runs the function `main` of `module` with its socket, `idle` and the files of
    gradcli. A server that takes no calls from this process any more, such as one of an older
    gradcli, is replaced.
    Raises FileError with the reason if no server can be started.
    """
    base = _socket_base()
    running = status()
    if running and running["fits"]:
        return running, False
    if running:
        stop()
    started = _launch(base, module, idle, sources())
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        time.sleep(0.02)
        if running := status():
            return running, started
        lock = _lock(base)
        if lock is not None:  # the server that was starting has ended
            os.close(lock)
            if started:
                raise FileError("the server ended while it was starting", hint=_last_message(base))
            started = _launch(base, module, idle, sources())
    raise FileError(f"the server did not start within {PATIENCE:g} s", hint=f"see {base}.log")


def leave(module: str, idle: float, files: Files) -> bool:
    """Let a fork of this process be the server when this process has ended, or computes for long;
    return whether it will.

    This process has computed nothing and has no threads; `files` are those of gradcli before it
    loaded PyTorch, if it has. Nothing happens if there is a server already, or if there can be none.
    """
    with suppress(GradcliError, OSError):
        return _launch(_socket_base(), module, idle, files, behind=True)
    return False


class OwnServer:
    """A server for this process alone, which ends when this process does, whatever it dies of.

    It runs the function `main` of `module`. Raises FileError if there can be none.
    """

    def __init__(self, module: str) -> None:
        base, files = _socket_base(), sources()
        self.path = f"{base}.{os.getpid()}"
        self._life, theirs = socket.socketpair()
        self._pid = os.fork()
        if not self._pid:
            with _detached(base, os.O_APPEND, theirs.fileno()):
                import_module(module).main(self.path, _ENDLESS, files, theirs.fileno())
        theirs.close()

    def wait(self) -> None:
        """Wait until it listens, or has ended."""
        while not os.path.exists(self.path) and not select.select([self._life], [], [], 0.01)[0]:
            pass

    def end(self) -> None:
        """End it, and wait until its socket is gone."""
        os.kill(self._pid, signal.SIGTERM)
        os.waitpid(self._pid, 0)
        self._life.close()


def stop() -> bool:
    """Wait until the server has ended; return whether one was running.

    The server takes no more calls, and ends once its current calls have ended.
    """
    try:
        base = wire.socket_base()
    except wire.NoServer:
        return False
    if _request(wire.STOP, wait=True):
        return True
    lock = _lock(base)
    if lock is None:  # the server is loading, or does not answer
        with suppress(OSError, ValueError), open(f"{base}.lock", encoding="ascii") as file:
            os.kill(int(file.read()), signal.SIGKILL)
            return True
        return False
    os.close(lock)
    return False


def _request(request: bytes, *, wait: bool = False) -> dict[str, Any] | None:
    """The server's answer; None if there is none. With `wait`, return once the server has ended."""
    try:
        connection = wire.connect(wire.socket_base() + ".socket", 5.0)
        connection.send(request)
        wire.send(connection, marshal.dumps(wire.environment()))
        answer, _ = wire.receive(connection)
        if wait:
            connection.settimeout(PATIENCE)
            connection.recv(1)
        connection.close()
        return json.loads(answer) if answer else None
    except (wire.NoServer, OSError, ValueError):
        return None


def _socket_base() -> str:
    """The path of the socket without its suffix; its folder is created if it is missing.

    Raises FileError if there can be no socket.
    """
    if not hasattr(os, "fork"):
        raise FileError("this system has no fork, which the server needs")
    try:
        with suppress(FileExistsError):
            os.mkdir(wire.folder(), 0o700)
        base = wire.socket_base()
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or "invalid folder name").lower()
        message = f"the server's folder {wire.folder()!r} cannot be created: {reason}"
        raise FileError(message, hint=_HINT) from None
    except wire.NoServer as reason:
        raise FileError(f"the server cannot listen: {reason}", hint=_HINT) from None
    if len(os.fsencode(base + ".socket")) > 107:
        raise FileError(f"the path of the server's socket is too long: {base}.socket", hint=_HINT)
    return base


def _lock(base: str) -> int | None:
    """Take the lock and return its descriptor; None if another process holds it."""
    lock = os.open(f"{base}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def _launch(base: str, module: str, idle: float, files: Files, *, behind: bool = False) -> bool:
    """Fork a server unless another process holds the lock; return whether it was forked.

    With `behind` the server begins when this process has ended, or computes for long.
    """
    lock = _lock(base)
    if lock is None:
        return False
    try:
        ours, theirs = socket.socketpair()
        if not os.fork():
            ours.close()
            with _detached(base, os.O_TRUNC, lock, theirs.fileno()):
                os.ftruncate(lock, 0)
                os.pwrite(lock, str(os.getpid()).encode(), 0)
                theirs.send(b"!")
                theirs.settimeout(BEHIND)
                with suppress(TimeoutError):
                    theirs.recv(1)  # nothing more is sent: this returns when the parent has ended
                theirs.close()
                import_module(module).main(f"{base}.socket", idle, files)
    finally:
        os.close(lock)
    theirs.close()
    ours.recv(1)  # it has let go of this process's streams, which may be pipes that others wait for
    if behind:
        ours.detach()
    else:
        ours.close()
    return True


@contextmanager
def _detached(base: str, mode: int, *kept: int) -> Iterator[None]:
    """Leave the terminal, the folder and the descriptors of the parent but `kept`, with a log in the
    place of stderr; end this process with this context.
    """
    try:
        os.setsid()
        os.chdir("/")
        null = os.open(os.devnull, os.O_RDWR)
        log = os.open(f"{base}.log", os.O_WRONLY | os.O_CREAT | mode, 0o600)
        for stream, fd in enumerate((null, null, log)):
            os.dup2(fd, stream)
        wire.close_all_but(*kept)
        sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
        yield
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(1)


def _last_message(base: str) -> str:
    """A hint with the last line that the server wrote before it ended."""
    log = f"{base}.log"
    with suppress(OSError, IndexError), open(log, encoding="utf-8", errors="replace") as file:
        return f"its last message: {file.read().strip().splitlines()[-1][:200]}"
    return "try again"
