"""The files that a server was loaded from: it takes no calls once one of them has changed."""

import os
from collections.abc import Iterable
from contextlib import suppress

from gradcli.process import wire

Files = dict[str, tuple[int, int, int]]
"""Files with their modification time, their size and their inode."""
_CHANGES = 0xFC6
"""IN_MODIFY, IN_ATTRIB, IN_MOVE, IN_CREATE, IN_DELETE, IN_DELETE_SELF and IN_MOVE_SELF of Linux."""
_LOCAL = {"btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "tmpfs", "xfs", "zfs"}
"""File systems that no other machine writes to, so that the system sees every change."""
_INNER = wire.PACKAGE + os.sep


class Watched:
    """Files with the states that they had when they were loaded.

    Linux reports changes on its own disks (inotify), which takes a call nothing; elsewhere, and
    after a report, all files are compared, which takes a millisecond or two.
    """

    def __init__(self, files: Files) -> None:
        self._files = files
        # Moving a folder above them is not reported, but the files in its place are others.
        self._top = {
            path: files[path] for path in files if not os.path.dirname(path).startswith(_INNER)
        }
        self._reports = _reports(files)
        self._same = False

    def unchanged(self) -> bool:
        """Whether all files are as they were when they were loaded."""
        try:
            if self._reported() or not self._same or states(self._top) != self._top:
                self._same = states(self._files) == self._files
        except OSError:
            self._same = False
        return self._same

    def _reported(self) -> bool:
        """Whether the system has reported a change since the last question, or reports none at all."""
        if self._reports is None:
            return True
        try:
            return bool(os.read(self._reports, 1 << 20))  # more than the system keeps
        except BlockingIOError:
            return False


def sources() -> Files:
    """The files of gradcli as they are now."""
    paths = (f"{folder}/{name}" for folder, _, names in os.walk(wire.PACKAGE) for name in names)
    return states(path for path in paths if path.endswith((".py", ".txt")))


def states(paths: Iterable[str]) -> Files:
    """The files with what changes when they change. Raises OSError if one is missing."""
    stats = ((path, os.stat(path)) for path in paths)
    return {path: (stat.st_mtime_ns, stat.st_size, stat.st_ino) for path, stat in stats}


def _reports(files: Files) -> int | None:
    """A descriptor with the system's reports of changes to these files and in their folders; None
    if it makes none, or does not see all changes.
    """
    with suppress(ImportError, OSError, AttributeError):
        import ctypes

        system = ctypes.CDLL(None)
        folders = {os.path.dirname(path) for path in files}
        if all(map(_is_local, {os.stat(folder).st_dev for folder in folders})):
            reports = system.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
            watched = map(os.fsencode, (*folders, *files))  # files have other names by hard links
            if all(system.inotify_add_watch(reports, each, _CHANGES) >= 0 for each in watched):
                return int(reports)
            os.close(reports)
    return None


def _is_local(device: int) -> bool:
    """Whether only this system writes to the file systems of a device."""
    number = f"{os.major(device)}:{os.minor(device)}"
    with open("/proc/self/mountinfo", "rb") as file:  # described in man 5 proc_pid_mountinfo
        mounts = [line.decode(errors="replace").split() for line in file]
    kinds = {mount[mount.index("-") + 1] for mount in mounts if mount[2] == number}
    return bool(kinds) and kinds <= _LOCAL
