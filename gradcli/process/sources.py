"""The files that a server was loaded from: it takes no calls once one of them has changed."""

import os
from collections.abc import Iterable

from gradcli.process import wire

Files = dict[str, tuple[int, int, int]]
"""Files with their modification time, their size and their inode."""


def sources() -> Files:
    """The files of gradcli as they are now."""
    paths = (f"{folder}/{name}" for folder, _, names in os.walk(wire.PACKAGE) for name in names)
    return states(path for path in paths if path.endswith((".py", ".txt")))


def states(paths: Iterable[str]) -> Files:
    """The files with what changes when they change. Raises OSError if one is missing."""
    stats = ((path, os.stat(path)) for path in paths)
    return {path: (stat.st_mtime_ns, stat.st_size, stat.st_ino) for path, stat in stats}
