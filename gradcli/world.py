"""The surroundings of one call: its streams, its terminal, and the environment variables.

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

from gradcli.errors import ExitStatus, FileError, system_reason
from gradcli.language.limits import LITERAL_TEXT


@dataclass(frozen=True)
class World:
    """One call's surroundings. `width` is None if output has its natural width."""

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
            width=_size(sys.stdout, os.environ, "COLUMNS"),
            begun=time.monotonic(),
        )

    def colour(self, stream: TextIO) -> bool:
        """Whether to write colour: by NO_COLOR, FORCE_COLOR and TERM=dumb, else on a terminal."""
        if self.environ.get("NO_COLOR"):
            return False
        if self.environ.get("FORCE_COLOR"):
            return True
        return self.environ.get("TERM") != "dumb" and is_terminal(stream)

    @property
    def ascii_only(self) -> bool:
        """Whether to write only ASCII to standard output: its encoding is not UTF, or LC_ALL is C.

        Python writes UTF-8 even with LC_ALL=C. Its own variables for the encoding take precedence.
        """
        if not (self.stdout.encoding or "").lower().replace("-", "").startswith("utf"):
            return True
        chosen = self.environ.get("PYTHONIOENCODING") or self.environ.get("PYTHONUTF8") == "1"
        return self.environ.get("LC_ALL") in ("C", "POSIX") and not chosen

    @property
    def height(self) -> int | None:
        """LINES if it is set, else the terminal's own height, else None."""
        return _size(self.stdout, self.environ, "LINES")

    def state_folder(self) -> str:
        """gradcli's folder in XDG_STATE_HOME or ~/.local/state, which is made if it is missing.

        Raises OSError, or ValueError for a name that no folder can have.
        """
        place = self.environ.get("XDG_STATE_HOME", "")
        if not place:
            home = self.environ.get("HOME", "")
            os.stat(home)
            place = os.path.join(home, ".local", "state")
            os.makedirs(place, mode=0o700, exist_ok=True)
        os.stat(place)
        folder = os.path.join(place, "gradcli")
        os.makedirs(folder, mode=0o700, exist_ok=True)
        return folder

    @property
    def stdin_is_fed(self) -> bool:
        """Whether standard input is a pipe or a regular file, which can be read to its end."""
        try:
            mode = os.fstat(self.stdin.fileno()).st_mode if self.stdin else 0
        except (ValueError, OSError):
            return False
        return stat.S_ISFIFO(mode) or stat.S_ISREG(mode)

    def put(self, content: bytes) -> ExitStatus:
        """Write to standard output; CLOSED_PIPE, without a message, if its reader has gone.

        Raises FileError if it cannot be written.
        """
        try:
            self.stdout.flush()
            rest = memoryview(content)
            while rest:  # an unbuffered stream may take a part
                rest = rest[self.stdout.buffer.write(rest) :]
            self.stdout.buffer.flush()
        except BrokenPipeError:
            _discard_rest(self.stdout)
            return ExitStatus.CLOSED_PIPE
        except OSError as error:
            _discard_rest(self.stdout)
            message = f"standard output cannot be written: {system_reason(error)}"
            hint = "check where it goes, and the free space (df)"
            raise FileError(message, hint=hint) from None
        return ExitStatus.OK

    def put_text(self, text: str) -> ExitStatus:
        """Write text to standard output, in its encoding, as `put` does."""
        return self.put(text.encode(self.stdout.encoding or "utf-8", "replace"))

    def tell(self, text: str) -> None:
        """Write to standard error; does nothing if that cannot be written."""
        try:
            self.stderr.write(text)
            self.stderr.flush()
        except OSError:
            _discard_rest(self.stderr)

    def read_stdin(self) -> str:
        """All of standard input as text. On a terminal, a line on stderr says how to end it.

        Raises FileError if standard input is closed or is not UTF-8, SizeError if it is too long.
        """
        if self.stdin is None:
            hint = "give the numbers as an argument, or pipe them in"
            raise FileError("standard input is closed", hint=hint)
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
    """A stream in the place of one that is closed; what is written to it is dropped."""
    return open(os.devnull, "w", encoding="utf-8")


def _discard_rest(stream: TextIO) -> None:
    """Discard what a stream still holds, so that Python's flush at exit does not fail again."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def is_terminal(stream: TextIO) -> bool:
    """Whether a stream is a terminal; a closed one is not."""
    try:
        return stream.isatty()
    except (ValueError, OSError):
        return False


def _size(stdout: TextIO | None, environ: Mapping[str, str], variable: str) -> int | None:
    """`variable` (COLUMNS or LINES) if it is set, else the terminal's own size, else None."""
    value = environ.get(variable, "")
    if value.isascii() and value.isdigit() and int(value) > 0:
        return int(value)
    if stdout is None or not is_terminal(stdout):
        return None
    try:
        size = os.get_terminal_size(stdout.fileno())
    except OSError:
        return None
    return (size.columns if variable == "COLUMNS" else size.lines) or None
