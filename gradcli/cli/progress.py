"""Progress on a terminal's stderr: that PyTorch is loading, the steps of a long computation."""

import _thread
import contextlib
import os
import sys
import time

from gradcli.world import World, is_terminal

LOADING = "loading PyTorch ..."
SILENCE = 0.5
"""Seconds of loading before it is shown."""
PATIENCE = 2.0
"""Seconds of computing before the steps are shown."""
PAUSE = 0.1
"""Seconds between two updates."""


class Loading:
    """Shows that PyTorch is loading if that takes long, and removes the line when it is done."""

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

    def __exit__(self, *_: object) -> None:
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
    """Shows which step of how many begins, on its own stderr: that of the process is silent."""

    def __init__(self, world: World, *, quiet: bool) -> None:
        self._fd = -1
        self._next = 0.0
        self._width = 0  # of the text shown, which the next one covers
        if not quiet and is_terminal(world.stderr):
            with contextlib.suppress(OSError, ValueError):
                self._fd = os.dup(world.stderr.fileno())

    def __call__(self, number: int, total: int) -> None:
        """Step `number` of `total` begins. The first starts the clock: loading does not count."""
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

    def __exit__(self, *_: object) -> None:
        if self._fd >= 0:
            if self._width:
                self._write("")
                with contextlib.suppress(OSError):
                    os.write(self._fd, b"\r")
            os.close(self._fd)

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            os.write(self._fd, b"\r" + text.ljust(self._width).encode())
        self._width = max(self._width, len(text))
