"""Starting, stopping and asking the server, from outside of it.

The process that holds the lock is the server, or is about to be: the one that starts it takes the
lock and hands it down, so that two starts at once give one server, and a lock that is free means
that there is none.
"""

import fcntl
import json
import marshal
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import Any

from gradcli.errors import FileError, GradcliError
from gradcli.process import wire

IDLE = 30 * 60.0
"""Seconds without a call after which a server ends, unless it is told otherwise."""
PATIENCE = 120.0
"""Seconds that loading PyTorch may take."""
_CURE = "set XDG_RUNTIME_DIR to a folder that you own, with a short path"


def status() -> dict[str, Any] | None:
    """What the server says of itself; None where there is none."""
    return _ask(wire.STATUS)


def start(module: str, idle: float = IDLE) -> tuple[dict[str, Any], bool]:
    """What the server says of itself once it is there, and whether it was started for that.

    `module` has the function `main` that a new server runs, with its socket and `idle`. A server
    that takes no calls of ours any more (of an older gradcli, say) is replaced. Raises FileError
    where no server can be started, with the reason.
    """
    base = _socket_base()
    found = status()
    if found and found["fits"]:
        return found, False
    if found:
        stop()
    ours = _launch(base, module, idle)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        time.sleep(0.02)
        if found := status():
            return found, ours
        lock = _lock(base)
        if lock is not None:  # the server that was starting has ended
            os.close(lock)
            if ours:
                raise FileError("the server ended while it was starting", hint=_last_message(base))
            ours = _launch(base, module, idle)
    raise FileError(f"the server did not start within {PATIENCE:g} s", hint=f"see {base}.log")


def start_in_background(module: str) -> None:
    """Start a server and do not wait for it; where that is not possible, nothing happens."""
    with suppress(GradcliError, OSError):
        _launch(_socket_base(), module, IDLE)


def stop() -> bool:
    """End the server, and return once it has ended; whether there was one.

    It takes no more calls at once; those under way are waited for.
    """
    try:
        base = wire.socket_base()
    except wire.NoServer:
        return False
    if _ask(wire.STOP, wait=True):
        return True
    lock = _lock(base)
    if lock is None:  # it is loading, or does not answer
        with suppress(OSError, ValueError), open(f"{base}.lock", encoding="ascii") as file:
            os.kill(int(file.read()), signal.SIGKILL)
            return True
        return False
    os.close(lock)
    return False


def _ask(request: bytes, *, wait: bool = False) -> dict[str, Any] | None:
    """The answer of the server; with `wait` only once it has ended."""
    try:
        connection = wire.connected(wire.socket_base() + ".socket", 5.0)
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
    """The path of the socket, less its suffix; its folder is made where there is none.

    Raises FileError where there can be none.
    """
    if not hasattr(os, "fork"):
        raise FileError("this system has no fork, which the server needs")
    try:
        with suppress(FileExistsError):
            os.mkdir(wire.folder(), 0o700)
        base = wire.socket_base()
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or "invalid folder name").lower()
        raise FileError(
            f"the server's folder {wire.folder()!r} cannot be created: {reason}", hint=_CURE
        ) from None
    except wire.NoServer as reason:
        raise FileError(f"the server cannot listen: {reason}", hint=_CURE) from None
    if len(os.fsencode(base + ".socket")) > 107:
        raise FileError(f"the path of the server's socket is too long: {base}.socket", hint=_CURE)
    return base


def _lock(base: str) -> int | None:
    """The lock, taken; None where another process has it."""
    lock = os.open(f"{base}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def _launch(base: str, module: str, idle: float) -> bool:
    """Start the process of a server unless one has the lock; whether it was started here.

    It is a fresh Python that belongs to no terminal and keeps nothing of this process but the lock.
    """
    lock = _lock(base)
    if lock is None:
        return False
    path = [os.path.abspath(folder) for folder in sys.path]
    program = f"import sys; sys.path[:] = {path!r}; from {module} import main; main({f'{base}.socket'!r}, {idle!r})"
    try:
        os.ftruncate(lock, 0)
        with open(
            f"{base}.log", "wb", opener=lambda name, flags: os.open(name, flags, 0o600)
        ) as log:
            server = subprocess.Popen(
                [sys.executable, "-c", program], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log,
                cwd="/", start_new_session=True, pass_fds=[lock],
            )  # fmt: skip
        os.pwrite(lock, str(server.pid).encode(), 0)
        server.returncode = 0  # it outlives this process, which Python would warn of
    finally:
        os.close(lock)
    return True


def _last_message(base: str) -> str:
    """The end of what the server wrote before it ended."""
    with (
        suppress(OSError, IndexError),
        open(f"{base}.log", encoding="utf-8", errors="replace") as file,
    ):
        return f"its last message: {file.read().strip().splitlines()[-1][:200]}"
    return "try again"
