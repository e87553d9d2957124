"""The client: hands a call over to the server, relays signals, and leaves with the worker's exit status.

It does what the parent of a cold call does, without loading anything. Until the server has accepted the call, whatever goes
wrong means a cold run; from then on the call is never run a second time.
"""

import _signal as signal  # type: ignore[import-not-found]  # `signal` itself loads enum, a third of an empty Python
import _socket
import marshal
import os
import sys

from gradcli.process import wire
from gradcli.process.wire import Cold as Cold

TYPE_CHECKING = False  # `typing` itself takes a fifth of an empty Python
if TYPE_CHECKING:
    from typing import NoReturn

PATIENCE = 2.0
"""Seconds that the server may take to accept; from there a cold start is as quick."""
_ENDING = ("SIGINT", "SIGTERM", "SIGHUP")


class Lost(Exception):  # noqa: N818 - an answer of the server
    """The worker died of a signal, at a place of the expression."""

    def __init__(self, signum: int, where: tuple[int, int]) -> None:
        super().__init__(signum, where)
        self.signum = signum
        self.where = where


def run(arguments: list[str]) -> "NoReturn":
    """Have a worker of the server run a call on this process's streams, and end with its exit status.

    Raises Cold where no server took the call, and Lost where its worker died.
    """
    if any("/fd/" in word for word in arguments):
        raise Cold("a descriptor, such as the shell gives for <(...), is this process's own")
    connection = wire.connected(wire.meeting_point() + ".socket", PATIENCE)
    try:
        worker = _hand_over(connection, arguments)
    except (Cold, OSError, ValueError):
        connection.close()  # else Python may warn of it
        raise Cold("the server did not take the call") from None
    connection.settimeout(None)
    _relay(worker)
    kind, first, start, stop = wire.heard(connection)
    if kind == wire.DONE:
        os._exit(first)  # the worker has flushed the streams; Python's own end takes a tenth of an empty Python
    raise Lost(first if kind == wire.DIED else signal.SIGKILL, (start, stop))


def _hand_over(connection: _socket.socket, arguments: list[str]) -> int:
    """The process number of the worker that has accepted the call.

    Raises Cold, OSError or ValueError where none has.
    """
    connection.send(wire.CALL)
    streams = [(stream.encoding, stream.errors) if stream else None for stream in (sys.stdin, sys.stdout, sys.stderr)]
    mask = os.umask(0)
    os.umask(mask)
    here = os.open(".", getattr(os, "O_PATH", os.O_RDONLY))  # by descriptor: the folder's name may be gone
    call = marshal.dumps((wire.surroundings(), arguments, dict(os.environ), mask, streams))
    _expect(wire.READY, connection)  # only to somebody who is awake: a pipe stays open while it is under way
    wire.send(connection, call, here, *(fd for fd, stream in enumerate(streams) if stream))
    os.close(here)
    try:
        return _expect(wire.ACCEPTED, connection)
    except TimeoutError:
        # After this an acceptance can no longer be sent; one that was sent already is still there to be read.
        connection.shutdown(_socket.SHUT_RD)
        return _expect(wire.ACCEPTED, connection)


def _expect(wanted: bytes, connection: _socket.socket) -> int:
    kind, number, _, _ = wire.heard(connection)
    if kind != wanted:
        raise Cold("the server refused the call")
    return number


def _relay(worker: int) -> None:
    """Pass on to the worker's process group whatever the terminal and the user tell this process."""

    def tell(number: int, frame: object = None) -> None:
        try:  # noqa: SIM105 - contextlib is not free
            os.killpg(worker, number)
        except ProcessLookupError:
            pass  # it has just ended, and its status is under way

    def suspend(number: int, frame: object) -> None:
        tell(signal.SIGSTOP)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)  # here this process stops, and goes on when it is continued
        signal.signal(number, suspend)
        tell(signal.SIGCONT)

    for name in _ENDING:
        number = getattr(signal, name)
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, tell)
    signal.signal(signal.SIGWINCH, tell)
    if signal.getsignal(signal.SIGTSTP) != signal.SIG_IGN:
        signal.signal(signal.SIGTSTP, suspend)
