"""What a terminal's stderr shows while nothing else comes: that PyTorch is loading, how far a
computation of many steps is.
"""

import _thread
import contextlib
import os
import sys
import time
from types import TracebackType

from gradcli.world import World, is_terminal

LOADING = "loading PyTorch ..."
SILENCE = 0.5
"""Seconds of loading before it is shown."""
PATIENCE = 2.0
"""Seconds of computing before the steps are shown."""
PAUSE = 0.1
"""Seconds between two updates."""


class Loading:
    """Shows that PyTorch is being loaded once that takes long, and removes the line when it is
    done.
    """

    def __init__(self, world: World, *, quiet: bool) -> None:
        self._world = world
        self._shows = not quiet and "torch" not in sys.modules and is_terminal(world.stderr)
        self._loaded = _thread.allocate_lock()
        self._removed = _thread.allocate_lock()

    def __enter__(self) -> None:
        if self._shows:
            self._loaded.acquire()
            self._removed.acquire()
            _thread.start_new_thread(self._show, ())

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._shows:
            self._loaded.release()
            self._removed.acquire()  # no thread is left when the computation begins

    def _show(self) -> None:
        if not self._loaded.acquire(timeout=SILENCE):
            self._world.tell(LOADING)
            self._loaded.acquire()
            self._world.tell(f"\r{' ' * len(LOADING)}\r")
        self._removed.release()


class Steps:
    """Told which step begins and of how many. It writes to a stderr of its own: that of the process
    is silent meanwhile.
    """

    def __init__(self, world: World, *, quiet: bool) -> None:
        self._fd = -1
        self._next = 0.0
        self._said = 0
        if not quiet and is_terminal(world.stderr):
            with contextlib.suppress(OSError, ValueError):
                self._fd = os.dup(world.stderr.fileno())

    def __call__(self, number: int, total: int) -> None:
        """Step `number` of `total` begins. The first one starts the clock: what is loaded before it
        does not count.
        """
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
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
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
