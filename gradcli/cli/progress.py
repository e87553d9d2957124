"""How far a computation of many steps is, on a terminal's stderr, once it takes longer than two seconds."""

import contextlib
import os
import time
from types import TracebackType

from gradcli.world import World, is_terminal

PATIENCE = 2.0
"""Seconds before anything is said."""
PAUSE = 0.1
"""Seconds between two words."""


class Steps:
    """Told which step begins and of how many. It writes to a stderr of its own: that of the process is silent meanwhile."""

    def __init__(self, world: World, *, quiet: bool) -> None:
        self._fd = -1
        self._next = 0.0
        self._said = 0
        if not quiet and is_terminal(world.stderr):
            with contextlib.suppress(OSError, ValueError):
                self._fd = os.dup(world.stderr.fileno())

    def __call__(self, number: int, total: int) -> None:
        """Step `number` of `total` begins. The first one starts the clock: what is loaded before it is no step."""
        now = time.monotonic()
        if self._fd < 0 or now < self._next:
            return
        if not self._next:
            self._next = now + PATIENCE
            return
        self._next = now + PAUSE
        self._write(f"step {number:,} of {total:,}")

    def __enter__(self) -> "Steps":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wipe out what was said."""
        if self._fd >= 0:
            if self._said:
                self._write("")
                with contextlib.suppress(OSError):
                    os.write(self._fd, b"\r")
            os.close(self._fd)

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(self._fd, b"\r" + text.ljust(self._said).encode())
        self._said = max(self._said, len(text))
