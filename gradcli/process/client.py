"""The client: hands a call over to the server, relays signals, and ends with the worker's exit
status.

It does what the parent of a cold call does, without loading anything. Until the server has accepted
the call, whatever goes wrong means a cold run; from then on the call is never run a second time.
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
"""Seconds that the server may take to accept; from there a cold start is as quick."""
_ENDING = ("SIGINT", "SIGTERM", "SIGHUP")


class WorkerDied(Exception):  # noqa: N818 - an answer of the server
    """A signal ended the worker, at a place of the expression."""

    def __init__(self, signum: int, where: tuple[int, int]) -> None:
        super().__init__(signum, where)
        self.signum = signum
        self.where = where


def run(arguments: list[str]) -> "NoReturn":
    """Have a worker of the server run a call on this process's streams, and end with its exit
    status.

    Raises NoServer where no server took the call, and WorkerDied where a signal ended its worker.
    """
    if any("/fd/" in word for word in arguments):
        raise NoServer(
            "a descriptor, such as the shell gives for <(...), belongs to this process alone"
        )
    connection = wire.connected(wire.socket_base() + ".socket", PATIENCE)
    try:
        worker = _hand_over(connection, arguments)
    except (NoServer, OSError, ValueError):
        connection.close()  # else Python may warn of it
        raise NoServer("the server did not take the call") from None
    connection.settimeout(None)
    _relay_signals(worker)
    kind, first, start, stop = wire.heard(connection)
    if kind == wire.DONE:
        os._exit(
            first
        )  # the worker has flushed the streams; Python's own end takes a tenth of an empty Python
    raise WorkerDied(first if kind == wire.DIED else signal.SIGKILL, (start, stop))


def _hand_over(connection: _socket.socket, arguments: list[str]) -> int:
    """The process number of the worker that has accepted the call.

    Raises NoServer, OSError or ValueError where none has.
    """
    connection.send(wire.CALL)
    streams = [
        (stream.encoding, stream.errors) if stream else None
        for stream in (sys.stdin, sys.stdout, sys.stderr)
    ]
    mask = os.umask(0)
    os.umask(mask)
    here = os.open(
        ".", getattr(os, "O_PATH", os.O_RDONLY)
    )  # by descriptor: the folder's name may be gone
    call = marshal.dumps((wire.environment(), arguments, dict(os.environ), mask, streams))
    _expect(
        wire.READY, connection
    )  # only to a worker that is awake: a pipe stays open while it is in transit
    wire.send(connection, call, here, *(fd for fd, stream in enumerate(streams) if stream))
    os.close(here)
    try:
        return _expect(wire.ACCEPTED, connection)
    except TimeoutError:
        # After this an acceptance can no longer be sent; one that was sent already is still there
        # to be read.
        connection.shutdown(_socket.SHUT_RD)
        return _expect(wire.ACCEPTED, connection)


def _expect(expected: bytes, connection: _socket.socket) -> int:
    kind, number, _, _ = wire.heard(connection)
    if kind != expected:
        raise NoServer("the server refused the call")
    return number


def _relay_signals(worker: int) -> None:
    """Pass on to the worker's process group the signals that the terminal and the user send to this
    process.
    """

    def relay(number: int, frame: object = None) -> None:
        try:  # noqa: SIM105 - contextlib is not free
            os.killpg(worker, number)
        except ProcessLookupError:
            pass  # it has just ended, and its status is on its way

    def suspend(number: int, frame: object) -> None:
        relay(signal.SIGSTOP)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)  # here this process stops, and goes on when it is continued
        signal.signal(number, suspend)
        relay(signal.SIGCONT)

    for name in _ENDING:
        number = getattr(signal, name)
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, relay)
    signal.signal(signal.SIGWINCH, relay)
    if signal.getsignal(signal.SIGTSTP) != signal.SIG_IGN:
        signal.signal(signal.SIGTSTP, suspend)
