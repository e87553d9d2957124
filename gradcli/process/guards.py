"""What a process sets up around PyTorch: a current folder that exists, no output of C code, a bound
on memory, and an error if PyTorch cannot load.
"""

import contextlib
import os
import sys
from collections.abc import Iterator

from gradcli.errors import FileError

_MADV_DONTNEED = 4
"""Linux's number for it."""


@contextlib.contextmanager
def loading_pytorch(*, whole: bool = False) -> Iterator[None]:
    """Load PyTorch, and what imports it, in this context; with `whole` as `import torch` does.

    Raises FileError if it cannot be loaded.
    """
    from gradcli.process import deferral  # what it imports is not needed for help

    try:
        with _existing_folder():
            if not whole:
                deferral.load()
            yield
    except (ImportError, RuntimeError) as error:  # without /dev/urandom PyTorch raises RuntimeError
        if (getattr(error, "name", None) or "").startswith("gradcli"):
            raise
        hint = "see ulimit -v, or install it again"
        raise FileError(f"PyTorch cannot be loaded: {error}", hint=hint) from None


@contextlib.contextmanager
def _existing_folder() -> Iterator[None]:
    """Leave the current folder for a while if it has been deleted: in it MKL, and with it PyTorch,
    would end the process while loading.
    """
    deleted = None
    try:
        os.getcwd()
    except FileNotFoundError:
        deleted = os.open(".", os.O_RDONLY)
        os.chdir("/")
    try:
        yield
    finally:
        if deleted is not None:
            os.fchdir(deleted)
            os.close(deleted)


@contextlib.contextmanager
def silent_streams() -> Iterator[None]:
    """Drop what C code writes to stdout and stderr: MKL's complaints about arguments, which would
    break into the result, and glibc's last message before a crash, which the parent words better.
    """
    os.environ["LIBC_FATAL_STDERR_"] = "1"  # otherwise glibc writes to the terminal itself
    copies = {}
    for stream in (1, 2):
        with contextlib.suppress(OSError):  # it is closed
            copies[stream] = os.dup(stream)
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in copies:
        os.dup2(null, stream)
    os.close(null)
    try:
        yield
    finally:
        if sys.platform != "win32" and "ctypes" in sys.modules:  # PyTorch is loaded
            # What C still has in its buffers is dropped too.
            sys.modules["ctypes"].CDLL(None).fflush(None)
        for stream, copy in copies.items():
            os.dup2(copy, stream)
            os.close(copy)


@contextlib.contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Send what is printed in this context to stderr, by Python, by C code and by child processes."""
    sys.stdout.flush()
    stdout = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(stdout, 1)
        os.close(stdout)


def release_memory() -> None:
    """Give back what the loading of PyTorch and first calls needed and no later call may need: free
    memory of the C library, and the machine code of libraries.

    The system keeps the code in its cache of files and maps again what is used again.
    """
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import ctypes

        system = ctypes.CDLL(None)
        with open("/proc/self/maps", encoding="utf-8") as file:
            mappings = [line.split(maxsplit=5) for line in file]
        for span, access, *_, path in (each for each in mappings if len(each) == 6):
            if access == "r-xp" and ".so" in path:  # never written to: nothing can be lost
                start, end = (int(address, 16) for address in span.split("-"))
                size = ctypes.c_size_t(end - start)
                system.madvise(ctypes.c_void_p(start), size, _MADV_DONTNEED)
        system.malloc_trim(0)  # glibc alone has it, so it comes last


def bound_memory() -> None:
    """Bound the address space of this process by its size plus the machine's available memory.

    A larger allocation then fails at once, with its size in PyTorch's message, instead of waking
    the system's out-of-memory killer. A system that does not report its memory gives no bound.
    """
    with contextlib.suppress(ImportError, OSError, StopIteration, ValueError):
        import resource

        with open("/proc/self/statm", encoding="ascii") as file:
            size = int(file.read().split()[0]) * resource.getpagesize()
        with open("/proc/meminfo", encoding="ascii") as file:
            line = next(line for line in file if line.startswith("MemAvailable"))
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        limit = size + min(int(line.split()[1]) * 1024, _available_in_group())
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard < 0 else min(limit, hard), hard))


def _available_in_group() -> int:
    """The bytes that the control group still allows: a container has less than its machine."""
    with (
        contextlib.suppress(OSError, ValueError),
        open("/sys/fs/cgroup/memory.max", encoding="ascii") as most,
        open("/sys/fs/cgroup/memory.current", encoding="ascii") as used,
    ):
        return int(most.read()) - int(used.read())
    return 2**62
