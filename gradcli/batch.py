"""Batches from Python: `gradcli.batch.run(jobs)` computes what `gradcli batch` does."""

import json
import os
import select
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from typing import Any

from gradcli.api.given import kept, setting, written
from gradcli.errors import ExitStatus, FileError, ToldFault, UsageError
from gradcli.process.pool import FRAME, IN_PIPE, PIECE, Splitter

_PROGRAM = "import sys; sys.path[:] = {path!r}; from gradcli.__main__ import run; run()"
"""The program, found where this process finds it."""


def run(
    jobs: Iterable[Mapping[str, Any]], *, processes: int = 1, allow_files: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield the result of each job in order, as the dictionary that `gradcli batch` prints.

    A job holds what a line of `gradcli batch` holds; inputs may also be NumPy arrays and tensors of any
    shape. Without `dtype` and `device` it has those of its tensors. A job that fails gives `{"id": ..,
    "error": {"kind": .., "message": ..}}`. Jobs are taken from an iterator as they are needed.

    They are computed by fresh processes: a fork of this one would hang if PyTorch had used its threads.
    Raises UsageError for one job in the place of several, FileError if PyTorch cannot be loaded there.
    """
    if isinstance(jobs, Mapping):
        raise UsageError("expected a list of jobs, got one job", hint="batch.run([job])")
    ids: deque[Any] = deque()  # of unanswered jobs: a line that is not strict JSON loses its id
    words = ["batch", "-", "--jobs", str(processes), *(["--allow-files"] if allow_files else [])]
    with subprocess.Popen(
        [sys.executable, "-c", _PROGRAM.format(path=sys.path), *words], bufsize=0,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "GRADCLI_SERVER": "off"},
    ) as process:  # fmt: skip
        try:
            for answer in map(json.loads, _answers(map(partial(_line, ids), jobs), process)):
                given = ids.popleft()
                yield {**answer, "id": given} if answer.get("id") is None else answer
        finally:
            process.terminate()
        assert process.stderr
        told = process.stderr.read().decode().strip().removeprefix("error: ")
        if process.wait() == ExitStatus.BAD_INPUT:
            raise FileError(told)
        if process.returncode not in (ExitStatus.OK, ExitStatus.FAILED):
            raise ToldFault(told or f"gradcli batch ended with status {process.returncode}", "")


def _line(ids: deque[Any], job: Any) -> bytes:
    """A job as a line; what is not a mapping, too, for which the answer is an error. Appends its id."""
    ids.append(job.get("id") if isinstance(job, Mapping) else None)
    if not isinstance(job, Mapping):
        return json.dumps(job, default=repr).encode() + b"\n"
    inputs = job.get("inputs")
    values = [*job.values(), *(inputs.values() if isinstance(inputs, Mapping) else ())]
    settings = {name: setting(job[name]) for name in ("dtype", "device") if name in job}
    return json.dumps(written({**kept(values), **job, **settings}), default=repr).encode() + b"\n"


def _answers(lines: Iterator[bytes], process: "subprocess.Popen[bytes]") -> Iterator[bytes]:
    """The result lines. A job is written whenever the pipe has room, and answers are read between."""
    assert process.stdin
    assert process.stdout
    given, answers = process.stdin.fileno(), process.stdout.fileno()
    os.set_blocking(given, False)
    splitter, rest = Splitter(), b""
    while True:
        waiting = [] if process.stdin.closed else [given]
        readable, writable, _ = select.select([answers], waiting, [])
        if writable:
            if rest := rest or _piece(lines):
                rest = _rest(given, rest)
            else:
                process.stdin.close()
        if readable:
            piece = os.read(answers, PIECE)
            if not piece:
                return
            yield from splitter.split(piece)


def _piece(lines: Iterator[bytes]) -> bytes:
    """The next lines, about as many as a pipe holds; empty at the end."""
    piece = bytearray()
    for line in islice(lines, FRAME):
        piece += line
        if len(piece) > IN_PIPE:
            break
    return bytes(piece)


def _rest(pipe: int, line: bytes) -> bytes:
    """What is left of a line after as much of it was written as the pipe takes."""
    try:
        return line[os.write(pipe, line) :]
    except BlockingIOError:
        return line
    except BrokenPipeError:  # the process has ended, as reading its answers tells next
        return b""
