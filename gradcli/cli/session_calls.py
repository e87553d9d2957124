"""Calls that a session makes: each in a child of this process, by a server that has PyTorch loaded, so
that it gives the bytes of a call from a shell in hundredths of a second.
"""

import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import NoReturn

from gradcli.cli import main as program
from gradcli.cli.progress import Loading
from gradcli.cli.report import report
from gradcli.errors import ExitStatus, FileError, GradcliError
from gradcli.process import client, control
from gradcli.process.fork import end_with_parent, wait
from gradcli.process.signals import EndedBySignal, end_at_once, handled
from gradcli.world import World, is_terminal


@contextmanager
def making_calls(world: World) -> Iterator["Caller"]:
    """What makes calls, with the server that the user has started or else one of its own."""
    server = None
    if world.environ.get("GRADCLI_SERVER") == "off" or not (control.status() or {}).get("fits"):
        with suppress(FileError, OSError):  # then each call loads PyTorch itself
            server = control.OwnServer("gradcli.cli.serve")
    try:
        yield Caller(world, server)
    finally:
        if server:
            server.end()


class Caller:
    """Makes calls with the streams of this process, by its own `server` or else the user's."""

    def __init__(self, world: World, server: control.OwnServer | None) -> None:
        self._world = world
        self._server = server
        self._interactive = world.stdin is not None and is_terminal(world.stdin)

    def run(self, words: Sequence[str], errors: int | None = None) -> int:
        """The exit status of a call; with `errors` it writes to that descriptor, and to no other.

        A signal that ends this process ends the call first. On a terminal Ctrl-C ends the call alone.
        """
        if not hasattr(os, "fork"):
            return program.run(words, self._world)
        received: list[int] = []

        def relay(number: int, frame: object) -> None:
            received.append(number)
            with suppress(ProcessLookupError):  # the call may just have ended
                if pid:
                    os.kill(pid, number)

        pid = 0
        lifeline = os.pipe()
        self._world.stdout.flush()
        with handled(relay):
            pid = os.fork()
            if not pid:
                self._be_call(list(words), lifeline, errors)
            os.close(lifeline[0])
            _, status = wait(pid)
            os.close(lifeline[1])
        for number in received:
            if number != signal.SIGINT or not self._interactive:
                raise EndedBySignal(number)
        code = os.waitstatus_to_exitcode(status)
        return 128 - code if code < 0 else code

    def errors(self, words: Sequence[str]) -> str:
        """What a call writes to stderr."""
        with tempfile.TemporaryFile() as file:
            self.run(words, file.fileno())
            file.seek(0)
            return file.read().decode(errors="replace")

    def report(self, error: GradcliError) -> int:
        """Draw an error on stderr, and return its exit status."""
        return report(error, self._world, "session")

    def _be_call(self, words: list[str], lifeline: tuple[int, int], errors: int | None) -> NoReturn:
        """Make a call in this process, and end it."""
        status: int = ExitStatus.FAULT
        try:
            end_with_parent(*lifeline)
            end_at_once()
            null = os.open(os.devnull, os.O_RDWR)
            if not self._interactive:  # the lines that follow are not the call's
                os.dup2(null, 0)
                sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
            if errors is not None:
                os.dup2(null, 1)
                os.dup2(errors, 2)
            status = self._answer(words)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)

    def _answer(self, words: list[str]) -> int:
        """Be the program, called with these words; the exit status, unless a server's worker is it."""
        world = World.current()
        if self._server:
            with Loading(world, quiet="--quiet" in words):
                self._server.wait()
        try:
            client.run(words, self._server.path if self._server else client.usual_socket())
        except client.WorkerDied as death:
            return program.worker_died(words, world, death.signum, death.where)
        except client.NoServer:
            pass  # below, so that it is not the context of what the user's program raises
        return program.run(words, world)
