"""The server that starts by itself: which calls leave one behind, and the line that says so."""

import os
import sys
import time
from contextlib import suppress

from gradcli.world import World, is_terminal

_UNASKED = 10 * 60.0
"""Seconds without a call after which a server ends that nobody has asked for."""
_WARM = 0.03
"""Seconds that a warm call takes."""


class Successor:
    """The server that a call leaves behind if it loads PyTorch: to be made before it does."""

    def __init__(self, world: World, *, quiet: bool) -> None:
        self._world = world
        self._quiet = quiet
        self._left = False
        self._idle = 0.0 if "torch" in sys.modules else _idle(world)
        if self._idle:
            from gradcli.process.sources import sources

            self._files = sources()

    def fork(self) -> None:
        """Fork the server, before this process computes; it begins when this process has ended or
        computes for long. Nothing happens if there is a server already, or if there can be none.
        """
        if self._idle:
            from gradcli.process import control

            self._left = control.leave("gradcli.cli.serve", self._idle, self._files)

    def tell(self) -> None:
        """Tell on a terminal, once a day and not with --quiet, that there is a server now."""
        if not self._left or self._quiet:
            return
        if is_terminal(self._world.stderr) and _is_due(self._world):
            self._world.tell(
                f"PyTorch stays loaded for the next calls ({_WARM} s each) until {self._idle / 60:g}"
                " idle minutes have passed; GRADCLI_SERVER=off: never\n"
            )


def _idle(world: World) -> float:
    """The seconds without a call after which the server ends; 0 if this call leaves none."""
    wish = world.environ.get("GRADCLI_SERVER")
    if not hasattr(os, "fork"):
        return 0.0
    if wish == "auto":
        from gradcli.process.control import IDLE

        return IDLE
    if wish:
        return 0.0
    here = world.stdin is not None and is_terminal(world.stdin) and is_terminal(world.stderr)
    return _UNASKED if here and not world.environ.get("CI") else 0.0


def _is_due(world: World) -> bool:
    """Whether it has not been told today; records it, in the user's state folder, if it can."""
    with suppress(OSError, ValueError):
        folder = world.state_folder()
        today = time.strftime("%Y-%m-%d")
        path = os.path.join(folder, "hinted")
        with suppress(FileNotFoundError), open(path, encoding="ascii") as file:
            if file.read() == today:
                return False
        with open(path, "w", encoding="ascii") as file:
            file.write(today)
    return True
