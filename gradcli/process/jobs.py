"""Where the jobs of a batch come from, as numbered lines: a pipe or file, or an iterable."""

import json
import os
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, NamedTuple

from gradcli.language.limits import JOB_TEXT

FRAME = 256
"""Lines at most that a worker is given at a time."""
PIECE = 1 << 18
"""Bytes read at a time."""
ANSWERED = b"\0"
"""In front of a line that is an answer already: that of a job which killed its worker."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""What some editors put in front of a text in UTF-8."""


class Line(NamedTuple):
    """A line of jobs and its number, from 1."""

    number: int
    text: bytes


class Splitter:
    """Splits pieces of a stream into lines. Of a line longer than `most` only so much is kept as
    shows that it is.
    """

    def __init__(self, most: float = float("inf")) -> None:
        self._most = most
        self._size = 0
        self._begun: list[bytes] = []

    def split(self, piece: bytes) -> list[bytes]:
        """The lines that a piece completes."""
        *lines, last = piece.split(b"\n")
        if lines:
            lines[0] = self.rest() + lines[0]
        if self._size <= self._most:
            self._size += len(last)
            self._begun.append(last)
        return lines

    def rest(self) -> bytes:
        """Start again with what was read of a line that has not ended."""
        found = b"".join(self._begun)
        self._begun, self._size = [], 0
        return found


class LinesOfFile:
    """The lines of a pipe or file as they come in."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._splitter = Splitter(JOB_TEXT.value)
        self._count = 0

    def take(self) -> list[Line] | None:
        """The lines that one read completes."""
        piece = os.read(self.fd, PIECE)
        lines = self._splitter.split(piece) if piece else [self._splitter.rest()]
        if lines and not self._count:
            lines[0] = lines[0].removeprefix(_BYTE_ORDER_MARK)
        numbered = [
            _checked(Line(number, text))
            for number, text in enumerate(lines, self._count + 1)
            if text.strip()
        ]
        self._count += len(lines)
        return numbered if piece or numbered else None


class LinesOfJobs:
    """The jobs of an iterable as lines."""

    fd: int | None = None

    def __init__(self, jobs: Iterable[Mapping[str, Any]]) -> None:
        self._jobs = enumerate(jobs, 1)

    def take(self) -> list[Line] | None:
        """The next frame's worth of jobs."""
        return [
            Line(number, json.dumps(dict(job)).encode())
            for number, job in islice(self._jobs, FRAME)
        ] or None


Lines = LinesOfFile | LinesOfJobs
"""Where jobs come from, without blank lines. `fd` is what to wait for until there are more; None:
they are always there."""


def _checked(line: Line) -> Line:
    """A line that cannot be mistaken for an answer; one that is too long has its answer already."""
    number, text = line
    if len(text) > JOB_TEXT.value:
        message = f"line {number}: a job has at most {JOB_TEXT.value:,} {JOB_TEXT.unit} ({JOB_TEXT.reason})"
        return Line(number, ANSWERED + failure(None, {"kind": "size", "message": message}))
    return Line(number, b" " + text) if text.startswith(ANSWERED) else line


def failure(identity: object, error: Mapping[str, str]) -> bytes:
    """The result line of a job that no worker can answer."""
    return json.dumps({"id": identity, "error": error}, separators=(",", ":")).encode()
