"""Draws every error: the `error:` line, the place with its caret, the hint; at most seven lines."""

import errno

from gradcli import errors
from gradcli.errors import GradcliError, SizeError, UsageError, printable
from gradcli.language.source import quoted
from gradcli.world import World

_LINES = 7
_CHARACTERS = 2900
_SCARCE = {errno.EMFILE: "-n", errno.ENFILE: "-n", errno.EAGAIN: "-u", errno.ENOMEM: "-v"}
"""The system's errors for a resource that has run out, and the option of ulimit that shows it."""


def draw(error: GradcliError, world: World, command: str = "") -> str:
    """The text for stderr, ended by a line feed."""
    label = printable(quoted(error.span.label)) if error.span else ""
    line = f"{label}: {error.message}" if label else error.message
    if error.why_entry:
        line += f" (gradcli why {error.why_entry})"
    hint = error.hint
    if not hint and isinstance(error, UsageError):
        hint = f"gradcli {command} --help".replace("  ", " ")
    below = [*(error.span.draw() if error.span else []), *hint.splitlines()]
    first = "\x1b[1;31merror:\x1b[0m" if world.colour(world.stderr) else "error:"
    lines = [f"{first} {line[: _CHARACTERS // 2]}", *(f"  {text}" for text in below[: _LINES - 1])]
    return "\n".join(lines)[:_CHARACTERS] + "\n"


def shortage(error: BaseException) -> GradcliError | None:
    """The error to show if the system refused a process, a descriptor or memory, else None."""
    if isinstance(error, MemoryError):
        hint = "see ulimit -v, or use smaller inputs"
        return SizeError("there is not enough memory for this", hint=hint)
    if isinstance(error, OSError) and error.errno in _SCARCE:
        hint = f"ulimit {_SCARCE[error.errno]} shows the limit"
        return SizeError(f"the system refused: {(error.strerror or '').lower()}", hint=hint)
    return None


def fault(error: BaseException, world: World) -> str:
    """The line for a fault of gradcli's own; with GRADCLI_DEBUG=1 the traceback follows."""
    return f"error: {errors.fault(error)}\n{errors.traceback_of(error, world.environ)}"
