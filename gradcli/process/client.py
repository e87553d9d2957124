"""The client: hands a call over to the server, relays signals, and exits with the worker's status.

It does what the parent of a cold call does, without loading anything. Until the server has accepted
the call, any failure means a cold run; after that the call is never run a second time.
"""

import _signal as signal  # type: ignore[import-not-found]  # `signal` itself loads enum, a third of an empty Python
import _socket
import marshal
import os
import sys

from gradcli.process import wire
from gradcli.process.wire import NoServer as NoServer

TYPE_CHECKING = False  # `typing` itself takes a fifth of an empty Python
if TYPE_CHECKING:
    from typing import NoReturn

PATIENCE = 2.0
"""Seconds that the server may take to accept a call; a cold start takes no longer."""
_ENDING = ("SIGINT", "SIGTERM", "SIGHUP")
_ALWAYS_COLD = ("server", "completion", "check", "session")
"""Commands that need no server, that control one, or that run the user's own code."""


class WorkerDied(Exception):  # noqa: N818 - an answer of the server
    """A signal ended the worker while it computed a place of the expression."""

    def __init__(self, signum: int, where: tuple[int, int]) -> None:
        super().__init__(signum, where)
        self.signum = signum
        self.where = where


def usual_socket() -> str:
    """The socket of the server that all calls of this user share. Raises NoServer if there is none."""
    return wire.socket_base() + ".socket"


def run(arguments: list[str], path: str) -> "NoReturn":
    """Run a call in a worker of the server that listens at `path`, on this process's streams, and
    exit with its status.

    Raises NoServer if no server took the call, and WorkerDied if a signal ended its worker.
    """
    command = arguments[0] if arguments else ""
    runs = command == "why" and any(word.partition("=")[0] == "--run" for word in arguments)
    if runs or command in _ALWAYS_COLD:
        raise NoServer("this call is always cold")
    if any("/fd/" in word for word in arguments):  # such as the shell passes for <(...)
        raise NoServer("a descriptor of this process does not exist in the worker")
    connection = wire.connect(path, PATIENCE)
    try:
        worker = _hand_over(connection, arguments)
    except (NoServer, OSError, ValueError):
        connection.close()  # otherwise Python may warn that it was left open
        raise NoServer("the server did not take the call") from None
    connection.settimeout(None)
    _relay_signals(worker)
    kind, first, start, stop = wire.receive_message(connection)
    if kind == wire.DONE:  # the worker has flushed the streams
        os._exit(first)  # Python's own exit takes a tenth of an empty Python
    raise WorkerDied(first if kind == wire.DIED else signal.SIGKILL, (start, stop))


def _hand_over(connection: _socket.socket, arguments: list[str]) -> int:
    """Hand the call over and return the process number of the worker that has accepted it.

    Raises NoServer, OSError or ValueError if none has.
    """
    connection.send(wire.CALL)
    streams = [(s.encoding, s.errors) if s else None for s in (sys.stdin, sys.stdout, sys.stderr)]
    mask = os.umask(0)
    os.umask(mask)
    # As a descriptor, because the folder may no longer have a name.
    folder = os.open(".", getattr(os, "O_PATH", os.O_RDONLY))
    call = marshal.dumps((wire.environment(), arguments, dict(os.environ), mask, streams))
    # Only to a worker that is ready: a pipe stays open while its descriptor is in transit.
    _expect(wire.READY, connection)
    wire.send(connection, call, folder, *(fd for fd, stream in enumerate(streams) if stream))
    os.close(folder)
    try:
        return _expect(wire.ACCEPTED, connection)
    except TimeoutError:
        # After the shutdown an acceptance can no longer be sent; one sent before can still be read.
        connection.shutdown(_socket.SHUT_RD)
        return _expect(wire.ACCEPTED, connection)


def _expect(expected: bytes, connection: _socket.socket) -> int:
    kind, number, _, _ = wire.receive_message(connection)
    if kind != expected:
        raise NoServer("the server refused the call")
    return number


def _relay_signals(worker: int) -> None:
    """Pass signals of the terminal and the user on to the worker's process group."""

    def relay(number: int, frame: object = None) -> None:
        try:  # noqa: SIM105 - contextlib is not free
            os.killpg(worker, number)
        except ProcessLookupError:
            pass  # it has just ended, and its status is on the way

    def suspend(number: int, frame: object) -> None:
        relay(signal.SIGSTOP)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)  # this process stops here until it is continued
        signal.signal(number, suspend)
        relay(signal.SIGCONT)

    for name in _ENDING:
        number = getattr(signal, name)
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, relay)
    signal.signal(signal.SIGWINCH, relay)
    if signal.getsignal(signal.SIGTSTP) != signal.SIG_IGN:
        signal.signal(signal.SIGTSTP, suspend)
