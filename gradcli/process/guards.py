"""What a process sets up around PyTorch: a folder that exists, silent C code, bounded memory, an
error if it cannot load.
"""

import contextlib
import os
import sys
from collections.abc import Iterator

from gradcli.errors import FileError


@contextlib.contextmanager
def loading_pytorch() -> Iterator[None]:
    """Load PyTorch here, and what needs it.

    Raises FileError where it cannot be loaded.
    """
    try:
        with existing_folder():
            yield
    except (
        ImportError,
        RuntimeError,
    ) as error:  # the second of PyTorch where there is no /dev/urandom
        if (getattr(error, "name", None) or "").startswith("gradcli"):
            raise
        raise FileError(
            f"PyTorch cannot be loaded: {error}", hint="see ulimit -v, or install it again"
        ) from None


@contextlib.contextmanager
def existing_folder() -> Iterator[None]:
    """Change to another folder for a while if the current one has been deleted: there MKL, and with
    it PyTorch, would end the process while it is loaded.
    """
    here = None
    try:
        os.getcwd()
    except FileNotFoundError:
        here = os.open(".", os.O_RDONLY)
        os.chdir("/")
    try:
        yield
    finally:
        if here is not None:
            os.fchdir(here)
            os.close(here)


@contextlib.contextmanager
def silent_streams() -> Iterator[None]:
    """Drop what C code writes to stdout and stderr: MKL's complaints about arguments, which would
    come amid the result, and glibc's last message before a crash, which the parent words better.
    """
    os.environ["LIBC_FATAL_STDERR_"] = "1"  # else glibc writes to the terminal itself
    kept = {}
    for stream in (1, 2):
        with contextlib.suppress(OSError):  # it is closed
            kept[stream] = os.dup(stream)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in kept:
        os.dup2(nowhere, stream)
    os.close(nowhere)
    try:
        yield
    finally:
        if sys.platform != "win32" and "ctypes" in sys.modules:  # PyTorch is loaded
            sys.modules["ctypes"].CDLL(None).fflush(
                None
            )  # what C still has in its buffers is dropped too
        for stream, copy in kept.items():
            os.dup2(copy, stream)
            os.close(copy)


def bound_memory() -> None:
    """Bound the address space of this process by what it has and what the machine still has.

    An allocation beyond it then fails at once, with its size in PyTorch's message, instead of
    waking the system's killer. Where the system tells nothing of its memory there is no bound.
    """
    try:
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            size = int(file.read().split()[0]) * resource.getpagesize()
        with open("/proc/meminfo", encoding="ascii") as file:
            free = next(
                int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable")
            )
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        limit = size + min(free, _free_in_group())
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard < 0 else min(limit, hard), hard))
    except (ImportError, OSError, StopIteration, ValueError):
        return


def _free_in_group() -> int:
    """What the control group of this process may still take: a container has less than its
    machine.
    """
    try:
        with (
            open("/sys/fs/cgroup/memory.max", encoding="ascii") as most,
            open("/sys/fs/cgroup/memory.current", encoding="ascii") as now,
        ):
            return int(most.read()) - int(now.read())
    except (OSError, ValueError):
        return 2**62
