"""The errors that a user can cause, as facts with a place, and the program's exit statuses.

The code that finds an error words it, and `gradcli.cli.report` draws all of them. Its class is its
kind, the word that a batch result line carries. Any other exception is a fault of gradcli's own.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import ClassVar, Protocol


def system_reason(error: OSError) -> str:
    """The system's words for an OSError, in lower case."""
    return (error.strerror or "unknown reason").lower()


class ExitStatus(IntEnum):
    """What the program returns to the shell."""

    OK = 0
    FAILED = 1
    BAD_INPUT = 2
    FAULT = 70
    INTERRUPTED = 130
    CLOSED_PIPE = 141


class Location(Protocol):
    """Where in the user's text an error is; `gradcli.language.source.Span` implements it."""

    @property
    def label(self) -> str:
        """What the user calls the text, such as `--x`; empty if it has no name."""

    def draw(self) -> list[str]:
        """Two lines: the text around the place, and the caret under it."""


_LINES = 7
_CHARACTERS = 2900
LONGEST = 1_400
"""Characters of a message and of each line of its hint: the user's text in them may be longer."""


def printable(text: str) -> str:
    """`text` on one line: control and invisible characters are escaped as in a Python string."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in text)


QUOTED = 80
"""Characters of the user's text that an error shows around a place."""


def quoted(text: str, most: int = QUOTED) -> str:
    """The beginning of the user's text, as errors quote it."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


class GradcliError(Exception):
    """An error that the user can correct: what is wrong, where it is, and what to do about it.

    `hint` may hold several lines, each a suggestion or a command to copy. `why_entry` is the
    `gradcli why` entry that explains the mistake.
    """

    kind: ClassVar[str]
    status: ClassVar[ExitStatus] = ExitStatus.BAD_INPUT

    def __init__(
        self, message: str, *, span: Location | None = None, hint: str = "", why_entry: str = ""
    ) -> None:
        super().__init__(message)
        self.message = quoted(printable(message.replace("\n", " ")), LONGEST)
        self.span = span
        lines = hint.replace("\t", " ").split("\n")  # which can be copied
        self.hint = "\n".join(quoted(printable(line), LONGEST) for line in lines)
        self.why_entry = why_entry

    @property
    def place(self) -> str:
        """Two lines: the user's text around the place, and the caret under it; empty without one."""
        return "\n".join(self.span.draw()) if self.span else ""

    @property
    def on_one_line(self) -> str:
        """What is wrong, where, and what to do, as an answer of a batch has it."""
        label = f"{quoted(self.span.label)}: " if self.span and self.span.label else ""
        hint = self.hint.split("\n")[0]
        return f"{label}{self.message}{f' ({hint})' if hint else ''}"

    def told(self, more: str = "") -> str:
        """The message with the name of the text, then indented the place and the hint, or else `more`;
        at most seven lines.
        """
        label = printable(quoted(self.span.label)) if self.span else ""
        line = f"{label}: {self.message}" if label else self.message
        if self.why_entry:
            line += f" (gradcli why {self.why_entry})"
        below = [*self.place.splitlines(), *(self.hint or more).splitlines()]
        lines = [line[: _CHARACTERS // 2], *(f"  {text}" for text in below[: _LINES - 1])]
        return "\n".join(lines)[:_CHARACTERS]

    def __str__(self) -> str:
        return self.told()


class UsageError(GradcliError):
    """Words that make no command: an unknown option, a missing input, two forms of output."""

    kind = "usage"


class LiteralError(GradcliError):
    """A tensor literal that cannot be read."""

    kind = "literal"


class ExpressionError(GradcliError):
    """An expression with a syntax error, or with a name that is unknown or refused."""

    kind = "expression"


class ShapeError(GradcliError):
    """Shapes or dtypes that PyTorch refuses."""

    kind = "shape"


class FileError(GradcliError):
    """A file that cannot be read or written."""

    kind = "file"


class SizeError(GradcliError):
    """More elements, text, nesting, memory or time than the bounds allow."""

    kind = "size"


class MathError(GradcliError):
    """Nothing to differentiate, a result that is not one number, or no derivative."""

    kind = "math"


class CodeError(GradcliError):
    """The user's own code, which raised an error or returned what it must not."""

    kind = "code"


class ProgramError(CodeError):
    """A program of the user's that failed in a way that also ended the process it ran in."""

    status = ExitStatus.FAILED


FAULT = "fault"
"""The kind of a fault of gradcli's own, which is not a GradcliError."""


class ToldFault(Exception):  # noqa: N818 - the fault itself was another exception
    """A fault of gradcli's own in another process: its message and its traceback there."""

    def __init__(self, message: str, traceback: str) -> None:
        super().__init__(message)
        self.traceback = traceback


def fault(error: BaseException) -> str:
    """The message of a fault of gradcli's own: what it is, where it happened, how to report it."""
    if isinstance(error, ToldFault):
        return str(error)
    what = quoted(printable(" ".join(f"{type(error).__name__}: {error}".split())), LONGEST)
    entry, where = error.__traceback__, ""
    while entry and entry.tb_next:
        entry = entry.tb_next
    if entry:
        where = f" at {entry.tb_frame.f_code.co_filename.rpartition('/')[2]}:{entry.tb_lineno}"
    return (
        f"internal error in gradcli ({what}{where}); please report it with the command and the traceback "
        "that GRADCLI_DEBUG=1 shows"
    )


def traceback_of(error: BaseException, environ: Mapping[str, str]) -> str:
    """The traceback of a fault, with its causes; empty unless GRADCLI_DEBUG is set."""
    if environ.get("GRADCLI_DEBUG", "0") in ("", "0"):
        return ""
    if isinstance(error, ToldFault):
        return error.traceback
    from traceback import format_exception  # which nothing else needs

    text = "".join(format_exception(error))
    return text.encode("utf-8", "replace").decode("utf-8")  # no stream takes lone surrogates
