"""Batches: JSON jobs in, JSON result lines out, in order, whatever a job does to the process that computes it.

The parent holds no PyTorch. It deals lines out to workers, a frame of some at a time, and gives back each answer in its
turn. The workers are children of a nursery, a process that has PyTorch loaded and does nothing but fork the next worker when
one has died: so PyTorch is loaded once, and a job that kills its worker costs milliseconds. What a worker is at, and until
when, lies in a page of memory that parent and worker both see.
"""

import gc
import json
import mmap
import os
import select
import signal
import struct
import sys
import time
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Protocol

from gradcli.errors import FileError
from gradcli.supervise import bound_memory, end_at_once, existing_folder, held, silent_streams
from gradcli.text.limits import JOB_TEXT

FRAME = 256
"""Lines at most that a worker is given at a time."""
AHEAD = 8
"""Frames for each worker that may be under way or waiting for their turn: the bound on memory."""
PIECE = 1 << 18
"""Bytes read at a time."""
IN_PIPE = 60_000
"""Bytes that a pipe holds while nobody reads it: somewhat less than the 64 KiB of Linux."""
FLUSH = 0.05
"""Seconds that an answer may wait for the next ones of its frame."""
GARBAGE = 20_000
"""Objects that a worker makes before it looks for garbage: those of some hundred jobs."""
MARK = b"\xef\xbb\xbf"
"""What some editors begin a text in UTF-8 with."""
_READY = b"\0"
"""In front of a line that is an answer already: that of a job which killed its worker."""
_STATE = struct.Struct("=qdq")
"""The page: the number of the job in its frame, when it must be done (0: whenever), the worker's process number."""


class Lines(Protocol):
    """Where jobs come from, without blank lines."""

    @property
    def fd(self) -> int | None:
        """What to wait for until there are more; None where they are always there."""

    def take(self) -> list[bytes] | None:
        """The next lines, without their ends; None at the end."""


class _Cutter:
    """Pieces of a stream cut into lines. Of a line longer than `most` only so much is kept as shows that it is."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._size = 0
        self._begun: list[bytes] = []

    def cut(self, piece: bytes) -> list[bytes]:
        """The lines that a piece completes."""
        *lines, last = piece.split(b"\n")
        if lines:
            lines[0] = self.rest() + lines[0]
        if self._size <= self._most:
            self._size += len(last)
            self._begun.append(last)
        return lines

    def rest(self) -> bytes:
        """What there is of a line that has not ended; it begins anew."""
        found = b"".join(self._begun)
        self._begun, self._size = [], 0
        return found


class LinesOfFile:
    """The lines of a pipe or file as they come in."""

    def __init__(self, fd: int) -> None:
        self.fd: int | None = fd
        self._cutter = _Cutter(JOB_TEXT.value)
        self._begun = False

    def take(self) -> list[bytes] | None:
        """The lines that one read completes."""
        assert self.fd is not None
        piece = os.read(self.fd, PIECE)
        lines = self._cutter.cut(piece) if piece else [self._cutter.rest()]
        if lines and not self._begun:
            self._begun = True
            lines[0] = lines[0].removeprefix(MARK)
        return _told(lines) if piece or lines[0].strip() else None


class LinesOfJobs:
    """The jobs of an iterable as lines."""

    fd: int | None = None

    def __init__(self, jobs: Iterable[Mapping[str, Any]]) -> None:
        self._jobs = iter(jobs)

    def take(self) -> list[bytes] | None:
        """The next frame's worth of jobs."""
        return [json.dumps(dict(job)).encode() for job in islice(self._jobs, FRAME)] or None


def _told(lines: list[bytes]) -> list[bytes]:
    """The lines that hold something; none can be taken for an answer, and one that is too long has its answer already."""
    return [_bounded(b" " + line if line.startswith(_READY) else line) for line in lines if line.strip()]


def _bounded(line: bytes) -> bytes:
    if len(line) <= JOB_TEXT.value:
        return line
    return _READY + _failure(None, "size", f"a job has at most {JOB_TEXT.value:,} {JOB_TEXT.unit} ({JOB_TEXT.reason})")


@dataclass
class _Frame:
    """Some consecutive lines, and the answers to the first of them; `base` of them were there when it was given last."""

    lines: list[bytes]
    answers: list[bytes] = field(default_factory=list)
    given_back: int = 0
    base: int = 0

    @property
    def whole(self) -> bool:
        return len(self.answers) == len(self.lines)

    def news(self) -> list[bytes]:
        """The answers that came in since this was asked last."""
        found = self.answers[self.given_back :]
        self.given_back = len(self.answers)
        return found


class _Worker:
    """A worker, seen from the parent: a pipe in each direction, and the page. `ends` are those of the worker itself."""

    def __init__(self) -> None:
        self.page = mmap.mmap(-1, mmap.PAGESIZE)
        tasks, self._tasks = os.pipe()
        self.fd, answers = os.pipe()
        self.ends = (tasks, answers)
        self._cutter = _Cutter(sys.maxsize)
        self._overdue = False
        self.frames: deque[_Frame] = deque()
        """What was given and is not answered, the frame in hand first."""

    def give(self, frame: _Frame) -> None:
        """Hand over the lines of a frame that have no answer yet."""
        self.frames.append(frame)
        frame.base = len(frame.answers)
        body = b"\n".join(frame.lines[frame.base :])
        with suppress(BrokenPipeError):  # whoever should read it has ended, as `receive` is going to see
            _write(self._tasks, struct.pack("=q", len(body)) + body)

    def receive(self) -> None:
        """Take the answers that are there. A job that killed the worker is answered here, and the others given anew."""
        piece = os.read(self.fd, PIECE)
        if not piece:
            raise FileError("PyTorch cannot be loaded, or has ended", cure="gradcli flow --layers 1 says why")
        lines = self._cutter.cut(piece)
        begun = 0
        for death in [i for i, line in enumerate(lines) if line.startswith(b"!")]:
            self._share(lines[begun : death - 1])  # the line in front of the mark is empty, or was cut off
            self._bury(*map(int, lines[death][1:].split()))
            begun = death + 1
        self._share(lines[begun:])

    def _share(self, lines: list[bytes]) -> None:
        """Give answers to the frames that they belong to."""
        while lines:
            frame = self.frames[0]
            room = len(frame.lines) - len(frame.answers)
            frame.answers += lines[:room]
            lines = lines[room:]
            if frame.whole:
                self.frames.popleft()

    def _bury(self, signum: int, number: int) -> None:
        """Answer the job that the worker died of, and give the new worker what has no answer yet, behind what it has."""
        if not self.frames:
            return
        frame = self.frames.popleft()
        number += frame.base
        if len(frame.answers) <= number < len(frame.lines):
            frame.lines[number] = _READY + _death(frame.lines[number], signum, overdue=self._overdue)
        self._overdue = False
        self.give(frame)

    def watch(self) -> None:
        """End the job in hand where it has run for longer than it may."""
        number, deadline, pid = _STATE.unpack_from(self.page)
        if 0 < deadline < time.monotonic():
            self._overdue = True
            _STATE.pack_into(self.page, 0, number, 0.0, pid)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def end(self) -> None:
        """End the worker, whatever it is at."""
        if pid := _STATE.unpack_from(self.page)[2]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.close()

    def close(self) -> None:
        """Close the parent's ends of the pipes."""
        os.close(self._tasks)
        os.close(self.fd)

    def leave(self) -> None:
        """Close the worker's own ends of the pipes."""
        for fd in self.ends:
            os.close(fd)


def _start_nursery(workers: list[_Worker], *, allow_files: bool) -> int:
    """The number of the process that these workers will be born from."""
    with held():  # what a handler raises while Python forks is lost
        nursery = os.fork()
        if nursery == 0:
            _be_nursery(workers, allow_files=allow_files)
    for worker in workers:
        worker.leave()
    return nursery


def answers(lines: Lines, *, jobs: int = 1, allow_files: bool = False) -> Generator[list[bytes], None, None]:
    """The result lines in the order of the jobs, as many at a time as have come in; their line ends are left to the caller.

    The processes are started now, and end with the generator.
    """
    workers = [_Worker() for _ in range(jobs)]
    return _answers(lines, workers, _start_nursery(workers, allow_files=allow_files))


def _answers(lines: Lines, workers: list[_Worker], nursery: int) -> Generator[list[bytes], None, None]:
    jobs = len(workers)
    waiting: deque[bytes] = deque()
    order: deque[_Frame] = deque()
    ended = False
    try:
        while not ended or waiting or order:
            idle = [worker for worker in workers if len(worker.frames) < (2 if jobs == 1 else 1)]
            for position, worker in enumerate(idle):
                share = min(FRAME, -(-len(waiting) // (len(idle) - position)))
                if not share or len(order) >= AHEAD * jobs or (worker.frames and not _fits(islice(waiting, share))):
                    continue
                frame = _Frame([waiting.popleft() for _ in range(share)])
                order.append(frame)
                worker.give(frame)
            wants_more = not ended and len(waiting) < FRAME * AHEAD * jobs
            if wants_more and lines.fd is None and not waiting:
                ended = _read(lines, waiting)
                continue
            busy = {worker.fd: worker for worker in workers if worker.frames}
            inlet = [lines.fd] if wants_more and lines.fd is not None else []
            ready, _, _ = select.select([*busy, *inlet], [], [], 0.2 if busy else None)
            for fd in ready:
                if fd in busy:
                    busy[fd].receive()
                else:
                    ended = _read(lines, waiting)
            for worker in busy.values():
                if worker.frames:
                    worker.watch()
            found: list[bytes] = []
            while order:
                found += order[0].news()
                if not order[0].whole:
                    break
                order.popleft()
            if found:
                yield found
    finally:
        os.kill(nursery, signal.SIGKILL)  # first, so that no worker is born any more
        os.waitpid(nursery, 0)
        for worker in workers:
            worker.end()


def _fits(lines: Iterable[bytes]) -> bool:
    """Whether a pipe can hold them: what a lone worker is given while it is at the frame before must not wait to be read."""
    return sum(len(line) + 1 for line in lines) < IN_PIPE


def _read(lines: Lines, waiting: deque[bytes]) -> bool:
    """Take in the next lines; whether that was the end."""
    more = lines.take()
    if more is None:
        return True
    waiting.extend(more)
    return False


def run(
    jobs: Iterable[Mapping[str, Any]], *, processes: int = 1, allow_files: bool = False
) -> Iterator[dict[str, Any]]:
    """The result of each job in its turn, as the dictionary that `gradcli batch` would print.

    A job is what a line of `gradcli batch` holds. A job that fails gives `{"id": .., "error": {"kind": .., "message": ..}}`.
    """
    for found in answers(LinesOfJobs(jobs), jobs=processes, allow_files=allow_files):
        yield from map(json.loads, found)


def failed(line: bytes) -> bool:
    """Whether a result line is that of a job that failed."""
    return line.startswith(b'{"id":')


def _death(line: bytes, signum: int, *, overdue: bool) -> bytes:
    """The result line of a job that killed its worker."""
    try:
        identity = json.loads(line).get("id")
    except (ValueError, AttributeError, RecursionError):
        identity = None
    name = signal.Signals(signum).name
    if overdue:
        kind, message = "size", "it ran for longer than its timeout (raise it, or give 0 to lift it)"
    elif signum == signal.SIGKILL:
        kind, message = "size", "the computation was killed, most likely for want of memory"
    else:
        kind, message = "math", f"PyTorch ended the process ({name}): check the arguments of its calls"
    return _failure(identity, kind, message)


def _failure(identity: object, kind: str, message: str) -> bytes:
    """The result line of a job that no worker can answer."""
    return json.dumps({"id": identity, "error": {"kind": kind, "message": message}}, separators=(",", ":")).encode()


def _write(fd: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


# --- in the nursery and its workers ---------------------------------------------------------------------------------


def _be_nursery(workers: list[_Worker], *, allow_files: bool) -> None:
    """Load PyTorch once, then keep every worker alive until there are no more tasks; never returns."""
    try:
        for worker in workers:
            worker.close()
        end_at_once()
        with silent_streams():
            with existing_folder():
                import gradcli.compute.jobs
                import gradcli.show.door  # noqa: F401 - both are loaded for the workers
                from gradcli.compute.door import open_wide

                open_wide()
            bound_memory()
            gc.collect()
            gc.freeze()  # what is loaded stays: no search for garbage goes through it again
            gc.set_threshold(GARBAGE)
            alive = {_born(worker, workers, allow_files=allow_files): worker for worker in workers}
            while alive:
                pid, status = os.wait()
                worker = alive.pop(pid)
                if status:  # a library may end a process without a signal
                    number = _STATE.unpack_from(worker.page)[0]  # before the next one is born, and writes there too
                    _write(worker.ends[1], b"\n!%d %d\n" % (os.WTERMSIG(status) or signal.SIGABRT, number))
                    family = [worker, *alive.values()]
                    alive[_born(worker, family, allow_files=allow_files)] = worker
                else:  # there are no more tasks
                    worker.leave()
    finally:
        os._exit(0)


def _born(worker: _Worker, workers: list[_Worker], *, allow_files: bool) -> int:
    """The number of a new process that is this worker, and holds no pipe of the others."""
    pid = os.fork()
    if pid == 0:
        for other in workers:
            if other is not worker:
                other.leave()
        _be_worker(*worker.ends, worker.page, allow_files=allow_files)
    return pid


def _be_worker(tasks: int, results: int, page: mmap.mmap, *, allow_files: bool) -> None:
    """Answer frame after frame until there are no more tasks; never returns."""
    try:
        from gradcli.compute.job import listening
        from gradcli.compute.jobs import answer
        from gradcli.show.door import line as encode

        me, number = os.getpid(), 0

        def begin(seconds: float) -> None:
            _STATE.pack_into(page, 0, number, time.monotonic() + seconds if seconds else 0.0, me)

        with listening():
            while header := _exactly(tasks, 8):
                found: list[bytes] = []
                sent = time.monotonic()
                lines = _exactly(tasks, struct.unpack("=q", header)[0]).split(b"\n")
                waited_for = len(lines) < FRAME  # no more were there: nobody shall wait for a slow job behind
                for number, line in enumerate(lines):
                    _STATE.pack_into(page, 0, number, 0.0, me)
                    if line.startswith(_READY):
                        found.append(line[1:])
                    else:
                        found.append(answer(line, _ignore, begin, encode, allow_files=allow_files))
                    if waited_for or time.monotonic() - sent > FLUSH:
                        _write(results, b"\n".join(found) + b"\n")
                        found, sent = [], time.monotonic()
                if found:
                    _write(results, b"\n".join(found) + b"\n")
    finally:
        os._exit(0)


def _exactly(fd: int, size: int) -> bytes:
    content = bytearray()
    while len(content) < size:
        piece = os.read(fd, min(PIECE, size - len(content)))
        if not piece:
            return b""
        content += piece
    return bytes(content)


def _ignore(step: object, operands: object) -> None:
    """A batch does not ask where in an expression it is."""
