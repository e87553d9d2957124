"""Runs a file as `python FILE.py ARGS` does: as `__main__`, with its folder first on the path, its
exit status, and its traceback without the frames of the watch.
"""

import atexit
import builtins
import contextlib
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from types import ModuleType, TracebackType

_OURS = (
    os.path.dirname(__file__) + os.sep,
    os.path.join(os.path.dirname(os.path.dirname(__file__)), "core.py"),
)
"""Files whose frames a traceback of the user's program does not show."""
_CALLERS = frozenset(
    [
        "__torch_function__", "_backward", "_zeroing", "_giving", "_inferring", "_from_numpy", "_compiling", "_compiled",
        "wrapper", "unwatched", "closure", "showwarning", "run_program", "_finish",
    ]
)  # fmt: skip
"""The functions of this folder that call the user's program, or PyTorch in its name."""


@dataclass(frozen=True)
class Outcome:
    """How a program ended: the exit status that Python would return, and the exception, if any."""

    status: int
    error: BaseException | None = None
    exit: SystemExit | None = None
    """The exit, if its status was not 0: what it was raised from may be an error."""

    @property
    def said(self) -> str | None:
        """What the last line of the traceback says, whole if the message has several lines."""
        if self.error is None:
            return None
        lines = traceback.format_exception_only(self.error)
        return (lines[-1] if isinstance(self.error, SyntaxError) else "".join(lines)).strip()


def run_program(
    file: str, arguments: Sequence[str], watching: AbstractContextManager[object]
) -> Outcome:
    """Run a file to its end in this process, in the context `watching`, and print its traceback.

    A child that the program forks ends here, as it would in Python. An exception of the watch itself
    is not the program's, and is raised.
    """
    process = os.getpid()
    outcome = Outcome(1)
    path = os.path.abspath(file)
    with _as_main(path) as main, _interruptible():
        sys.argv = [file, *arguments]
        try:
            try:
                with open(path, "rb") as source:
                    code = compile(source.read(), path, "exec", dont_inherit=True)
                with watching:
                    exec(code, main.__dict__)  # the program that the user asks to run
                outcome = Outcome(0)
            except SystemExit as error:
                status = _exit_status(error)
                outcome = Outcome(status, exit=error if status else None)
            except BaseException as error:
                if _is_ours(error):
                    raise
                outcome = Outcome(1, error)
                _strip(error, set())
                _flush()
                sys.excepthook(type(error), error, error.__traceback__)
            _finish()
        finally:
            if os.getpid() != process:
                _flush()
                os._exit(outcome.status)
    return outcome


@contextmanager
def _as_main(path: str) -> Iterator[ModuleType]:
    """The module `__main__` of a program, with sys.argv and sys.path as Python sets them."""
    main = ModuleType("__main__")
    main.__file__ = path
    main.__builtins__ = builtins  # type: ignore[attr-defined]
    main.__loader__ = SourceFileLoader("__main__", path)
    main.__dict__["__cached__"] = None
    ours = sys.modules["__main__"], sys.argv, sys.path[:]
    sys.modules["__main__"] = main
    sys.path[:1] = [os.path.dirname(os.path.realpath(path))]
    try:
        yield main
    finally:
        sys.modules["__main__"], sys.argv, sys.path[:] = ours


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt in the program, as in Python."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _is_ours(error: BaseException) -> bool:
    """Whether the watch itself is at fault: something other than a call in the program's name raised
    the error. Ctrl-C, and an end of the stack or the memory, can come anywhere.
    """
    if not isinstance(error, Exception) or isinstance(error, (RecursionError, MemoryError)):
        return False
    codes = (frame.f_code for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(c.co_filename.startswith(_OURS[0]) and c.co_name not in _CALLERS for c in codes)


def _exit_status(error: SystemExit) -> int:
    """The exit status of sys.exit; a text goes to stderr."""
    if isinstance(error.code, int | None):
        return (error.code or 0) & 0xFF
    print(error.code, file=sys.stderr)
    return 1


def _finish() -> None:
    """What Python does at its end: wait for the threads, then call what atexit registered."""
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    _flush()


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # it is closed, or None
            stream.flush()


def _strip(error: BaseException, seen: set[int]) -> None:
    """Take our frames out of the traceback of an exception, and of its causes."""
    if id(error) in seen:
        return
    seen.add(id(error))
    error.__traceback__ = stripped(error.__traceback__)
    for other in (error.__cause__, error.__context__):
        if other is not None:
            _strip(other, seen)


def stripped(entry: TracebackType | None) -> TracebackType | None:
    """A traceback without our frames, and without the detour by which a function written in Python
    comes to be watched: its own first frame and that of `handle_torch_function`.
    """
    entries = []
    while entry is not None:
        frame = entry.tb_frame
        if not frame.f_code.co_filename.startswith(_OURS):
            entries.append(entry)
        elif entries and entries[-1].tb_frame.f_code.co_name == "handle_torch_function":
            del entries[-2:]
        entry = entry.tb_next
    result = None
    for entry in reversed(entries):
        result = TracebackType(result, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return result
