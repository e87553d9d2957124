"""The one place that draws an error: the `error:` line, the place with its caret, the hint; seven
lines at most.
"""

import errno

from gradcli import errors
from gradcli.errors import GradcliError, SizeError, UsageError, printable
from gradcli.language.source import quoted
from gradcli.world import World

_LINES = 7
_CHARACTERS = 2900
_SCARCE = {errno.EMFILE: "-n", errno.ENFILE: "-n", errno.EAGAIN: "-u", errno.ENOMEM: "-v"}
"""What the system says where a process may have no more of something, and the option of ulimit that
shows the bound."""


def draw(error: GradcliError, world: World, command: str = "") -> str:
    """The text for stderr, ended by a line feed."""
    label = printable(quoted(error.span.label)) if error.span else ""
    line = f"{label}: {error.message}" if label else error.message
    if error.why_entry:
        line += f" (gradcli why {error.why_entry})"
    hint = error.hint or (
        f"gradcli {command} --help".replace("  ", " ") if isinstance(error, UsageError) else ""
    )
    below = [*(error.span.draw() if error.span else []), *(hint.splitlines() if hint else [])]
    first = "error:"
    if world.colour(world.stderr):
        first = f"\x1b[1;31m{first}\x1b[0m"
    text = "\n".join(
        [f"{first} {line[: _CHARACTERS // 2]}", *(f"  {part}" for part in below[: _LINES - 1])]
    )
    return text[:_CHARACTERS] + "\n"


def shortage(error: BaseException) -> GradcliError | None:
    """The error to show where the system has refused a process, a descriptor or memory, which is
    not a fault of gradcli.
    """
    if isinstance(error, MemoryError):
        return SizeError(
            "there is not enough memory for this", hint="see ulimit -v, or use smaller inputs"
        )
    if isinstance(error, OSError) and error.errno in _SCARCE:
        reason = (error.strerror or "").lower()
        return SizeError(
            f"the system refused: {reason}", hint=f"ulimit {_SCARCE[error.errno]} shows the limit"
        )
    return None


def fault(error: BaseException, world: World) -> str:
    """The one line for a fault of gradcli's own; with GRADCLI_DEBUG=1 the whole traceback below
    it.
    """
    return f"error: {errors.fault(error)}\n{errors.traceback_of(error, world.environ)}"
