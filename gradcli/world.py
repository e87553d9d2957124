"""What the program knows of the world around one call: its streams, the terminal, the variables
that steer colour.

Nothing else reads `sys.stdout`, `os.environ` or a terminal's width, and nothing reads them at
import: a warm call gets a world of its own, and a test can make one.
"""

import os
import stat
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

from gradcli.errors import ExitStatus, FileError
from gradcli.language.limits import LITERAL_TEXT


@dataclass(frozen=True)
class World:
    """One call's surroundings. `width` is None where output has its natural width."""

    stdin: TextIO | None
    stdout: TextIO
    stderr: TextIO
    environ: Mapping[str, str]
    width: int | None
    begun: float = 0.0
    """When the call began, on the clock of time.monotonic."""

    @classmethod
    def current(cls) -> "World":
        """The surroundings of this process, read now."""
        return cls(
            stdin=sys.stdin,
            stdout=sys.stdout or _nowhere(),
            stderr=sys.stderr or _nowhere(),
            environ=os.environ,
            width=_width(sys.stdout, os.environ),
            begun=time.monotonic(),
        )

    def colour(self, stream: TextIO) -> bool:
        """Whether to write colour to `stream`: NO_COLOR wins, then FORCE_COLOR, then TERM=dumb,
        then the terminal.
        """
        if self.environ.get("NO_COLOR"):
            return False
        if self.environ.get("FORCE_COLOR"):
            return True
        return self.environ.get("TERM") != "dumb" and is_terminal(stream)

    @property
    def ascii_only(self) -> bool:
        """Whether standard output should carry nothing but ASCII: its encoding, or LC_ALL=C, says
        so.

        In that locale Python writes UTF-8 all the same. A variable of Python's own that chooses the
        encoding wins.
        """
        if not (self.stdout.encoding or "").lower().replace("-", "").startswith("utf"):
            return True
        chosen = self.environ.get("PYTHONIOENCODING") or self.environ.get("PYTHONUTF8") == "1"
        return self.environ.get("LC_ALL") in ("C", "POSIX") and not chosen

    @property
    def height(self) -> int | None:
        """LINES where it is set, else the terminal's own height, else none."""
        lines = self.environ.get("LINES", "")
        if lines.isascii() and lines.isdigit() and int(lines) > 0:
            return int(lines)
        try:
            return (
                os.get_terminal_size(self.stdout.fileno()).lines
                if is_terminal(self.stdout)
                else None
            )
        except OSError:
            return None

    @property
    def stdin_is_fed(self) -> bool:
        """Whether standard input is a pipe or a regular file: something that can be read to its end
        without asking for it.
        """
        try:
            mode = os.fstat(self.stdin.fileno()).st_mode if self.stdin else 0
        except (ValueError, OSError):
            return False
        return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)

    def put(self, content: bytes) -> ExitStatus:
        """Write to standard output: CLOSED_PIPE, without a word, where its reader has gone.

        Raises FileError where it cannot be written.
        """
        try:
            self.stdout.flush()
            rest = memoryview(content)
            while rest:  # an unbuffered stream may take a part
                rest = rest[self.stdout.buffer.write(rest) :]
            self.stdout.buffer.flush()
        except BrokenPipeError:
            _drop_what_is_left(self.stdout)
            return ExitStatus.CLOSED_PIPE
        except OSError as error:
            _drop_what_is_left(self.stdout)
            reason = (error.strerror or "unknown reason").lower()
            raise FileError(
                f"standard output cannot be written: {reason}",
                hint="check where it goes, and the free space (df)",
            ) from None
        return ExitStatus.OK

    def put_text(self, text: str) -> ExitStatus:
        """Write text to standard output, in its encoding, as `put` does."""
        return self.put(text.encode(self.stdout.encoding or "utf-8", "replace"))

    def tell(self, text: str) -> None:
        """Write to standard error; where that cannot be written, there is nobody to tell."""
        try:
            self.stderr.write(text)
            self.stderr.flush()
        except OSError:
            _drop_what_is_left(self.stderr)

    def read_stdin(self) -> str:
        """All of standard input as text. A terminal is told on stderr that it is waited for.

        Raises FileError where standard input is closed or no UTF-8 text, and SizeError where it
        holds too much.
        """
        if self.stdin is None:
            raise FileError(
                "standard input is closed", hint="give the numbers as an argument, or pipe them in"
            )
        if is_terminal(self.stdin):
            self.tell("reading standard input; end it with Ctrl-D\n")
        try:
            content = self.stdin.buffer.read(LITERAL_TEXT.value + 1)
            LITERAL_TEXT.check(len(content), "standard input")  # it may have no end
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise FileError(f"standard input is not UTF-8 text (byte {error.start})") from None
        except OSError as error:
            raise FileError(f"standard input cannot be read: {error.strerror}") from None


def _nowhere() -> TextIO:
    """A stream for a call whose own is closed; what is written to it is dropped."""
    return open(os.devnull, "w", encoding="utf-8")


def _drop_what_is_left(stream: TextIO) -> None:
    """Let what a stream still holds go nowhere, so that Python's own flush at exit does not fail
    once more.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def is_terminal(stream: TextIO) -> bool:
    """Whether somebody sits behind a stream."""
    try:
        return stream.isatty()
    except (ValueError, OSError):
        return False


def _width(stdout: TextIO | None, environ: Mapping[str, str]) -> int | None:
    """COLUMNS where it is set, else the terminal's own width, else none."""
    columns = environ.get("COLUMNS", "")
    if columns.isascii() and columns.isdigit() and int(columns) > 0:
        return int(columns)
    if stdout is None or not is_terminal(stdout):
        return None
    try:
        return os.get_terminal_size(stdout.fileno()).columns or None
    except OSError:
        return None
