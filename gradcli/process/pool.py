"""Batches: JSON jobs in, JSON result lines out, in order, whatever a job does to the process that computes it.

The parent holds no PyTorch. It deals lines out to workers, a frame of some at a time, and gives back each answer in its
turn. The workers are children of a nursery, a process that has PyTorch loaded and does nothing but fork the next worker when
one has died: so PyTorch is loaded once, and a job that kills its worker costs milliseconds. What a worker is at lies in a
page of memory that parent and worker both see; a job that runs for too long is ended by the worker's own alarm.
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
from collections.abc import Generator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple, Protocol

from gradcli.errors import FAULT, ExitStatus, FileError, ToldFault, fault, traceback_of
from gradcli.language.limits import JOB_TEXT
from gradcli.process.supervise import (
    Limits,
    bound_memory,
    cause,
    end_at_once,
    existing_folder,
    held,
    silent_streams,
    wait,
)

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
_DONE, _FAILED = b"+", b"-"
"""In front of an answer on its way to the parent: whether the job is a success."""
_STATE = struct.Struct("=qdqq")
"""The page: the number of the job in its frame, the seconds it may take (0: any), the worker's process number, and the size of
what the worker says before it ends by a fault; that itself is the rest of the page."""
_PAGE = 1 << 18
_HEADER = struct.Struct("=qq")
"""In front of a frame: how many lines it has, and the bytes of their numbers and texts."""
_IDLE, _NURSERY = -1, -2
"""In place of the number of a job: the worker has no frame in hand; it is the nursery that has ended."""


class Line(NamedTuple):
    """A line of jobs and its number, from 1."""

    number: int
    text: bytes


class Answer(NamedTuple):
    """A result line without its end, and whether it is a success: the job was done, and what it checks and expects holds."""

    line: bytes
    ok: bool


class Lines(Protocol):
    """Where jobs come from, without blank lines."""

    @property
    def fd(self) -> int | None:
        """What to wait for until there are more; None where they are always there."""

    def take(self) -> list[Line] | None:
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
        """Start again with what was read of a line that has not ended."""
        found = b"".join(self._begun)
        self._begun, self._size = [], 0
        return found


class LinesOfFile:
    """The lines of a pipe or file as they come in."""

    def __init__(self, fd: int) -> None:
        self.fd: int | None = fd
        self._cutter = _Cutter(JOB_TEXT.value)
        self._count = 0

    def take(self) -> list[Line] | None:
        """The lines that one read completes."""
        assert self.fd is not None
        piece = os.read(self.fd, PIECE)
        lines = self._cutter.cut(piece) if piece else [self._cutter.rest()]
        if lines and not self._count:
            lines[0] = lines[0].removeprefix(MARK)
        numbered = list(map(Line, range(self._count + 1, self._count + len(lines) + 1), lines))
        self._count += len(lines)
        return _told(numbered) if piece or lines[0].strip() else None


class LinesOfJobs:
    """The jobs of an iterable as lines."""

    fd: int | None = None

    def __init__(self, jobs: Iterable[Mapping[str, Any]]) -> None:
        self._jobs = enumerate(jobs, 1)

    def take(self) -> list[Line] | None:
        """The next frame's worth of jobs."""
        return [Line(number, json.dumps(dict(job)).encode()) for number, job in islice(self._jobs, FRAME)] or None


def _told(lines: list[Line]) -> list[Line]:
    """The lines that hold something; none can be taken for an answer, and one that is too long has its answer already."""
    return [_bounded(line) for line in lines if line.text.strip()]


def _bounded(line: Line) -> Line:
    number, text = line
    if len(text) > JOB_TEXT.value:
        message = f"line {number}: a job has at most {JOB_TEXT.value:,} {JOB_TEXT.unit} ({JOB_TEXT.reason})"
        return Line(number, _READY + _failure(None, {"kind": "size", "message": message}))
    return Line(number, b" " + text) if text.startswith(_READY) else line


@dataclass
class _Frame:
    """Some consecutive lines, and the answers to the first of them; `base` of them were there when it was given last."""

    lines: list[Line]
    answers: list[bytes] = field(default_factory=list)
    given_back: int = 0
    base: int = 0

    @property
    def whole(self) -> bool:
        return len(self.answers) == len(self.lines)

    def news(self) -> list[Answer]:
        """The answers that came in since this was asked last."""
        found = [Answer(line[1:], line.startswith(_DONE)) for line in self.answers[self.given_back :]]
        self.given_back = len(self.answers)
        return found


class _Worker:
    """A worker, seen from the parent: a pipe in each direction, and the page. `ends` are those of the worker itself."""

    def __init__(self) -> None:
        self.page = mmap.mmap(-1, _PAGE)
        tasks, self._tasks = os.pipe()
        self.fd, answers = os.pipe()
        self.ends = (tasks, answers)
        self._cutter = _Cutter(sys.maxsize)
        self.frames: deque[_Frame] = deque()
        """What was given and is not answered, the frame in hand first."""

    def give(self, frame: _Frame) -> None:
        """Hand over the lines of a frame that have no answer yet."""
        self.frames.append(frame)
        frame.base = len(frame.answers)
        rest = frame.lines[frame.base :]
        body = struct.pack(f"={len(rest)}q", *(line.number for line in rest)) + b"\n".join(line.text for line in rest)
        with suppress(BrokenPipeError):  # whoever should read it has ended, as `receive` is going to see
            _write(self._tasks, _HEADER.pack(len(rest), len(body)) + body)

    def receive(self) -> None:
        """Take the answers that are there. A job that killed the worker is answered here, and the others are given out again.

        Raises FileError where PyTorch cannot be loaded, and ToldFault where the nursery has ended by a fault.
        """
        piece = os.read(self.fd, PIECE)
        if not piece:
            raise FileError("PyTorch could not be loaded, or it crashed", cure="gradcli flow --layers 1 shows why")
        lines = self._cutter.cut(piece)
        begun = 0
        for death in [i for i, line in enumerate(lines) if line.startswith(b"!")]:
            self._share(lines[begun : death - 1])  # the line in front of the mark is empty, or was cut off
            self._bury(*json.loads(lines[death][1:]))
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

    def _bury(self, status: int, number: int, seconds: float, told: list[str]) -> None:
        """Answer the job that the worker died of, and give the new worker what has no answer yet, behind what it has."""
        if number == _NURSERY:
            raise ToldFault(*told) if len(told) == 2 else FileError(told[0], cure="see ulimit -v, or install it again")
        if not self.frames:
            return
        frame = self.frames.popleft()
        number += frame.base
        if len(frame.answers) <= number < len(frame.lines):
            line = frame.lines[number]
            frame.lines[number] = Line(line.number, _READY + _death(line.text, status, seconds, told))
        self.give(frame)

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


def answers(lines: Lines, *, jobs: int = 1, allow_files: bool = False) -> Generator[list[Answer], None, None]:
    """The result lines in the order of the jobs, as many at a time as have come in; their line ends are left to the caller.

    The processes are started now, and end with the generator.
    """
    workers = [_Worker() for _ in range(jobs)]
    return _answers(lines, workers, _start_nursery(workers, allow_files=allow_files))


def _answers(lines: Lines, workers: list[_Worker], nursery: int) -> Generator[list[Answer], None, None]:
    jobs = len(workers)
    waiting: deque[Line] = deque()
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
            ready, _, _ = select.select([*busy, *inlet], [], [])
            for fd in ready:
                if fd in busy:
                    busy[fd].receive()
                else:
                    ended = _read(lines, waiting)
            found: list[Answer] = []
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


def _fits(lines: Iterable[Line]) -> bool:
    """Whether a pipe can hold them: what a lone worker is given while it is at the frame before must not wait to be read."""
    return sum(len(line.text) + 9 for line in lines) < IN_PIPE


def _read(lines: Lines, waiting: deque[Line]) -> bool:
    """Take in the next lines; whether that was the end."""
    more = lines.take()
    if more is None:
        return True
    waiting.extend(more)
    return False


def _death(line: bytes, status: int, seconds: float, told: list[str]) -> bytes:
    """The result line of a job of which its worker died: the one that it told, or of a fault where it told that."""
    if len(told) == 1:
        return told[0].encode()
    try:
        identity = json.loads(line).get("id")
    except (ValueError, AttributeError, RecursionError):
        identity = None
    if told:
        return _failure(identity, {"kind": FAULT, "message": told[0]} | ({"traceback": told[1]} if told[1] else {}))
    error = cause(status, (0, 0), Limits(seconds))
    return _failure(
        identity, {"kind": error.kind, "message": f"{error.message}{f' ({error.cure})' if error.cure else ''}"}
    )


def _failure(identity: object, error: Mapping[str, str]) -> bytes:
    """The result line of a job that no worker can answer."""
    return json.dumps({"id": identity, "error": error}, separators=(",", ":")).encode()


def _write(fd: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(fd, view) :]


class _DeviceLostError(Exception):
    """A GPU that this process cannot use again: it ends with the answer to the job that did it, and another goes on."""

    def __init__(self, answer: bytes) -> None:
        super().__init__()
        self.answer = answer


# --- in the nursery and its workers ---------------------------------------------------------------------------------


def _be_nursery(workers: list[_Worker], *, allow_files: bool) -> None:
    """Load PyTorch once, then keep every worker alive until there are no more tasks; never returns."""
    told: list[str] = []
    try:
        for worker in workers:
            worker.close()
        end_at_once()
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # an alarm ends a worker, whatever C++ is at
        with silent_streams():
            _load()
            bound_memory()
            gc.collect()
            gc.freeze()  # what is loaded stays: no search for garbage goes through it again
            gc.set_threshold(GARBAGE)
            alive = {_born(worker, workers, allow_files=allow_files): worker for worker in workers}
            while alive:
                pid, status = wait(-1)
                worker = alive.pop(pid)
                if status:  # a library may end a process without a signal
                    number, seconds, _, size = _STATE.unpack_from(worker.page)
                    last = json.loads(worker.page[_STATE.size : _STATE.size + size] or b"[]")
                    _STATE.pack_into(worker.page, 0, _IDLE, 0.0, 0, 0)
                    if number == _IDLE and last:
                        raise ToldFault(*last)
                    _write(worker.ends[1], b"\n!%b\n" % json.dumps([status, number, seconds, last]).encode())
                    family = [worker, *alive.values()]
                    alive[_born(worker, family, allow_files=allow_files)] = worker
                else:  # there are no more tasks
                    worker.leave()
    except FileError as error:
        told = [error.message]
    except BaseException as error:
        told = [fault(error), traceback_of(error, os.environ)]
    finally:
        for worker in workers if told else ():
            with suppress(OSError):  # that of a worker without tasks is closed
                _write(worker.ends[1], b"\n!%b\n" % json.dumps([0, _NURSERY, 0, told]).encode())
        os._exit(0)


def _load() -> None:
    """Load what the workers need.

    Raises FileError where PyTorch cannot be loaded.
    """
    try:
        with existing_folder():
            import gradcli.commands.batch.lines
            import gradcli.commands.forms  # noqa: F401 - both are loaded for the workers
            from gradcli.commands.dispatch import preload

            preload()
    except (ImportError, RuntimeError) as error:  # the second of PyTorch where there is no /dev/urandom
        if (getattr(error, "name", None) or "").startswith("gradcli"):
            raise
        raise FileError(f"PyTorch cannot be loaded: {error}") from None


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
    me, number, status = os.getpid(), _IDLE, 0
    try:
        _STATE.pack_into(page, 0, number, 0.0, me, 0)
        from gradcli.commands.batch.lines import answer
        from gradcli.commands.dispatch import lost
        from gradcli.commands.forms import line as encode
        from gradcli.evaluate.job import listening

        def begin(seconds: float) -> None:
            _STATE.pack_into(page, 0, number, seconds, me, 0)
            signal.setitimer(signal.ITIMER_REAL, seconds)  # where the time is over, it ends this process

        with listening():
            while header := _exactly(tasks, _HEADER.size):
                number = 0
                _STATE.pack_into(page, 0, number, 0.0, me, 0)
                found: list[bytes] = []
                sent = time.monotonic()
                count, size = _HEADER.unpack(header)
                body = _exactly(tasks, size)
                places = struct.unpack_from(f"={count}q", body)
                waited_for = count < FRAME  # no more were there: nobody shall wait for a slow job behind
                for number, line in enumerate(body[8 * count :].split(b"\n")):
                    _STATE.pack_into(page, 0, number, 0.0, me, 0)
                    if line.startswith(_READY):
                        found.append(_FAILED + line[1:])
                    else:
                        made, ok = answer(
                            line, places[number], _ignore, begin, encode, allow_files=allow_files, environ=os.environ
                        )
                        signal.setitimer(signal.ITIMER_REAL, 0)
                        if lost:
                            raise _DeviceLostError(made)
                        found.append((_DONE if ok else _FAILED) + made)
                    if waited_for or time.monotonic() - sent > FLUSH:
                        _write(results, b"\n".join(found) + b"\n")
                        found, sent = [], time.monotonic()
                if found:
                    _write(results, b"\n".join(found) + b"\n")
                number = _IDLE
                _STATE.pack_into(page, 0, number, 0.0, me, 0)
    except BrokenPipeError:
        pass  # the parent has ended
    except BaseException as error:
        status = ExitStatus.FAULT
        told = [fault(error), traceback_of(error, os.environ)[-_PAGE // 8 :]]
        said = json.dumps([error.answer.decode()] if isinstance(error, _DeviceLostError) else told).encode()
        _STATE.pack_into(page, 0, number, 0.0, me, len(said))
        page[_STATE.size : _STATE.size + len(said)] = said
    finally:
        os._exit(status)


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
