"""Starting, stopping and asking the server, from outside of it.

Who holds the lock is the server, or is about to be: the one that starts takes it and hands it down, so that two starts at
once give one server, and a lock that is free means that there is none.
"""

import fcntl
import json
import marshal
import os
import signal
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


def status() -> dict[str, Any] | None:
    """What the server says of itself; None where there is none."""
    return _ask(wire.STATUS)


def start(idle: float = IDLE) -> tuple[dict[str, Any], bool]:
    """What the server says of itself once it is there, and whether it was started for that.

    A server that takes no calls of ours any more (of an older gradcli, say) is replaced.
    Raises FileError where no server can be started, with the reason.
    """
    place = _place()
    found = status()
    if found and found["fits"]:
        return found, False
    if found:
        stop()
    ours = _launch(place, idle)
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        time.sleep(0.02)
        if found := status():
            return found, ours
        lock = _lock(place)
        if lock is not None:  # whoever was starting has ended
            os.close(lock)
            if ours:
                raise FileError("the server ended while it was starting", cure=_last_words(place))
            ours = _launch(place, idle)
    raise FileError(f"the server did not start within {PATIENCE:g} s", cure=f"see {place}.log")


def start_behind() -> None:
    """Start a server and do not wait for it; where that is not possible, nothing happens."""
    with suppress(GradcliError, OSError):
        _launch(_place(), IDLE)


def stop() -> bool:
    """End the server, and return once it has ended; whether there was one.

    It takes no more calls at once; those under way are waited for.
    """
    try:
        place = wire.meeting_point()
    except wire.Cold:
        return False
    if _ask(wire.STOP, wait=True):
        return True
    lock = _lock(place)
    if lock is None:  # it is loading, or does not answer
        with suppress(OSError, ValueError), open(f"{place}.lock", encoding="ascii") as file:
            os.kill(int(file.read()), signal.SIGKILL)
            return True
        return False
    os.close(lock)
    return False


def _ask(what: bytes, *, wait: bool = False) -> dict[str, Any] | None:
    """The answer of the server; with `wait` only once it has gone."""
    try:
        connection = wire.connected(wire.meeting_point() + ".socket", 5.0)
        connection.send(what)
        wire.send(connection, marshal.dumps(wire.surroundings()))
        answer, _ = wire.receive(connection)
        if wait:
            connection.settimeout(PATIENCE)
            connection.recv(1)
        connection.close()
        return json.loads(answer) if answer else None
    except (wire.Cold, OSError, ValueError):
        return None


def _place() -> str:
    """The meeting point, its folder made where there is none.

    Raises FileError where there can be none.
    """
    if not hasattr(os, "fork"):
        raise FileError("this system has no fork, which the server needs")
    try:
        with suppress(FileExistsError):
            os.mkdir(wire.folder(), 0o700)
        place = wire.meeting_point()
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or "invalid folder name").lower()
        raise FileError(f"the server's folder {wire.folder()!r} cannot be created: {reason}", cure=_CURE) from None
    except wire.Cold as reason:
        raise FileError(f"the server cannot listen: {reason}", cure=_CURE) from None
    if len(os.fsencode(place + ".socket")) > 107:
        raise FileError(f"the path of the server's socket is too long: {place}.socket", cure=_CURE)
    return place


_CURE = "set XDG_RUNTIME_DIR to a folder that you own, with a short path"


def _lock(place: str) -> int | None:
    """The lock, taken; None where somebody has it."""
    lock = os.open(f"{place}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def _launch(place: str, idle: float) -> bool:
    """Start the process of a server unless somebody has; whether it was started here."""
    lock = _lock(place)
    if lock is None:
        return False
    middle = os.fork()
    if middle == 0:
        try:
            _daemon(place, idle, lock)
        finally:
            os._exit(1)
    os.close(lock)
    os.waitpid(middle, 0)
    return True


def _daemon(place: str, idle: float, lock: int) -> None:
    """Become a process that belongs to no terminal and keeps nothing of this one, and in it run a fresh Python."""
    os.setsid()
    if os.fork():
        os._exit(0)
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    nowhere = os.open(os.devnull, os.O_RDWR)
    log = os.open(f"{place}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    for target, fd in ((0, nowhere), (1, nowhere), (2, log)):
        os.dup2(fd, target)
    os.set_inheritable(lock, True)
    keep = os.dup2(lock, 3, inheritable=True)
    os.closerange(keep + 1, wire.DESCRIPTORS)
    os.chdir("/")
    path = [os.path.abspath(folder) for folder in sys.path]
    call = f"from gradcli.process.server import main; main({place + '.socket'!r}, {idle!r})"
    program = f"import sys; sys.path[:] = {path!r}; {call}"
    os.execv(sys.executable, [sys.executable, "-c", program])


def _last_words(place: str) -> str:
    """The end of what the server wrote before it died."""
    with suppress(OSError, IndexError), open(f"{place}.log", encoding="utf-8", errors="replace") as file:
        return f"its last message: {file.read().strip().splitlines()[-1][:200]}"
    return "try again"
