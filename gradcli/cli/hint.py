"""The hint about the server: once a day, on a terminal, after a call that loaded PyTorch."""

import os
import time
from contextlib import suppress

from gradcli.world import World, is_terminal

_WARM = 0.04
"""Seconds that a warm call takes."""


def remind(world: World, loading: float) -> None:
    """Write the hint after a call that loaded PyTorch in `loading` seconds, if it is due."""
    unwanted = world.environ.get("CI") or world.environ.get("GRADCLI_SERVER") in ("off", "auto")
    if unwanted or not is_terminal(world.stderr) or not hasattr(os, "fork"):
        return
    with suppress(OSError, ValueError):
        if _is_due(_state_folder(world)):
            whole = time.monotonic() - world.begun
            world.tell(
                f"{whole:.1f} s, of which {loading:.1f} loading PyTorch: gradcli server start makes it {_WARM:.2f}\n"
            )


def _state_folder(world: World) -> str:
    """XDG_STATE_HOME or ~/.local/state, which is made if it is missing. Raises OSError."""
    folder = world.environ.get("XDG_STATE_HOME", "")
    if not folder:
        home = world.environ.get("HOME", "")
        os.stat(home)
        folder = os.path.join(home, ".local", "state")
        os.makedirs(folder, mode=0o700, exist_ok=True)
    os.stat(folder)
    return folder


def _is_due(folder: str) -> bool:
    """Whether the hint has not been given today; records it. Raises OSError if it cannot."""
    os.makedirs(os.path.join(folder, "gradcli"), mode=0o700, exist_ok=True)
    today = time.strftime("%Y-%m-%d")
    path = os.path.join(folder, "gradcli", "hinted")
    with suppress(FileNotFoundError), open(path, encoding="ascii") as file:
        if file.read() == today:
            return False
    with open(path, "w", encoding="ascii") as file:
        file.write(today)
    return True
