"""Draws every error: the `error:` line, the place with its caret, the hint; at most seven lines."""

import errno

from gradcli import errors
from gradcli.errors import ExitStatus, GradcliError, SizeError, UsageError
from gradcli.world import World

_SCARCE = {errno.EMFILE: "-n", errno.ENFILE: "-n", errno.EAGAIN: "-u", errno.ENOMEM: "-v"}
"""The system's errors for a resource that has run out, and the option of ulimit that shows it."""


def draw(error: GradcliError, world: World, command: str = "") -> str:
    """The text for stderr, ended by a line feed."""
    usage = f"gradcli {command} --help".replace("  ", " ")
    first = "\x1b[1;31merror:\x1b[0m" if world.colour(world.stderr) else "error:"
    return f"{first} {error.told(usage if isinstance(error, UsageError) else '')}\n"


def report(error: BaseException, world: World, command: str) -> ExitStatus:
    """Draw any exception on stderr, and return its exit status. One that is not a GradcliError is a
    fault of gradcli's own; with GRADCLI_DEBUG=1 its traceback follows.
    """
    if shown := error if isinstance(error, GradcliError) else _shortage(error):
        world.tell(draw(shown, world, command))
        return shown.status
    world.tell(f"error: {errors.fault(error)}\n{errors.traceback_of(error, world.environ)}")
    return ExitStatus.FAULT


def _shortage(error: BaseException) -> GradcliError | None:
    """The error to show if the system refused a process, a descriptor or memory, else None."""
    if isinstance(error, MemoryError):
        hint = "see ulimit -v, or use smaller inputs"
        return SizeError("there is not enough memory for this", hint=hint)
    if isinstance(error, OSError) and error.errno in _SCARCE:
        hint = f"ulimit {_SCARCE[error.errno]} shows the limit"
        return SizeError(f"the system refused: {(error.strerror or '').lower()}", hint=hint)
    return None
