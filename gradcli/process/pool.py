"""Batches: lines of jobs in, result lines out, in order, whatever a job does to the process that
computes it.

The parent has not loaded PyTorch. It deals lines out to workers, a frame of some at a time, and
returns each answer in its turn. The workers are children of a fork server, a process that has
PyTorch loaded and does nothing but fork the next worker when one has died: so PyTorch is loaded
once, and a job that kills its worker costs milliseconds. What a worker is at lies in a page that it
shares with the fork server; a job that runs for too long is ended by the worker's own alarm.
"""

import gc
import json
import os
import select
import signal
import struct
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import NamedTuple

from gradcli.errors import FileError, ToldFault
from gradcli.process.fork import End, SharedPage, spawn, wait
from gradcli.process.guards import bound_memory, silent_streams
from gradcli.process.jobs import ANSWERED, FRAME, PIECE, Line, Lines, Splitter, failure
from gradcli.process.signals import end_at_once, held
from gradcli.process.wire import read_exactly, write_all
from gradcli.process.worker import Limits, cause

AHEAD = 8
"""Frames for each worker that may be under way or waiting for their turn: the bound on memory."""
IN_PIPE = 60_000
"""Bytes that a pipe holds while nobody reads it: somewhat less than the 64 KiB of Linux."""
FLUSH = 0.05
"""Seconds that an answer may wait for the next ones of its frame."""
GARBAGE = 20_000
"""Objects that a worker makes before it looks for garbage: those of some hundred jobs."""
_OK, _FAILED, _DIED = b"+", b"-", b"!"
"""In front of a line on its way to the parent: an answer, by its success, or how the worker
ended."""
_HEADER = struct.Struct("=qq")
"""In front of a frame: how many lines it has, and the bytes of their numbers and texts."""
_IDLE = -1
"""In place of the number of a job: the worker has no frame in hand."""

_CRASHED = FileError(
    "PyTorch could not be loaded, or it crashed", hint="gradcli flow --layers 1 shows why"
)

Begin = Callable[[float], None]
"""Told the seconds that a job or its next step may take, just before it begins."""
Work = Callable[[bytes, int, Begin], tuple[bytes, bool, bool]]
"""From a line and its number: its result line, whether it is a success, and whether the process can
go on."""
Load = Callable[[], AbstractContextManager[Work]]
"""Loads PyTorch and all that jobs need, and holds it while they are done."""


class Answer(NamedTuple):
    """A result line without its end, and whether it is a success: the job was done, and what it
    checks and expects holds.
    """

    line: bytes
    ok: bool


@dataclass
class _Frame:
    """Some consecutive lines, and the answers to the first of them; `base` of them were there when
    it was given last.
    """

    lines: list[Line]
    answers: list[bytes] = field(default_factory=list)
    taken: int = 0
    base: int = 0

    @property
    def whole(self) -> bool:
        return len(self.answers) == len(self.lines)

    def take(self) -> list[Answer]:
        """The answers that came in since this was asked last."""
        found = [Answer(line[1:], line.startswith(_OK)) for line in self.answers[self.taken :]]
        self.taken = len(self.answers)
        return found


class _Worker:
    """A worker, seen from the parent: a pipe in each direction, and the page. `ends` are those of
    the worker itself.
    """

    def __init__(self) -> None:
        self.page = SharedPage()
        tasks, self._tasks = os.pipe()
        self.fd, answers = os.pipe()
        self.ends = (tasks, answers)
        self._splitter = Splitter()
        self.frames: deque[_Frame] = deque()
        """What was given and is not answered, the frame in hand first."""

    def give(self, frame: _Frame) -> None:
        """Hand over the lines of a frame that have no answer yet."""
        self.frames.append(frame)
        frame.base = len(frame.answers)
        rest = frame.lines[frame.base :]
        body = struct.pack(f"={len(rest)}q", *(line.number for line in rest)) + b"\n".join(
            line.text for line in rest
        )
        with suppress(BrokenPipeError):  # the fork server has ended, as the parent is about to see
            write_all(self._tasks, _HEADER.pack(len(rest), len(body)) + body)

    def receive(self) -> None:
        """Take the answers that are there. A job that killed the worker is answered here, the
        others are given out again.
        """
        lines = self._splitter.split(os.read(self.fd, PIECE))
        begun = 0
        for death in [i for i, line in enumerate(lines) if line.startswith(_DIED)]:
            self._assign(
                lines[begun : death - 1]
            )  # the line in front of the mark is empty, or was cut off
            self._replace(End(*json.loads(lines[death][1:])))
            begun = death + 1
        self._assign(lines[begun:])

    def _assign(self, lines: list[bytes]) -> None:
        """Give answers to the frames that they belong to."""
        while lines:
            frame = self.frames[0]
            room = len(frame.lines) - len(frame.answers)
            frame.answers += lines[:room]
            lines = lines[room:]
            if frame.whole:
                self.frames.popleft()

    def _replace(self, end: End) -> None:
        """Answer the job that the worker died of, and give the new worker what has no answer yet,
        behind what it has.
        """
        number = end.at[0]
        if number == _IDLE or not self.frames:
            return
        frame = self.frames.popleft()
        number += frame.base
        if len(frame.answers) <= number < len(frame.lines):
            line = frame.lines[number]
            frame.lines[number] = Line(line.number, ANSWERED + _answer_to_killer(line.text, end))
        self.give(frame)

    def kill(self) -> None:
        """End the worker, whatever it is doing."""
        if pid := self.page.read()[1]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.close()

    def close(self) -> None:
        """Close the parent's ends of the pipes."""
        os.close(self._tasks)
        os.close(self.fd)

    def close_ends(self) -> None:
        """Close the worker's own ends of the pipes."""
        for fd in self.ends:
            os.close(fd)


def _answer_to_killer(line: bytes, end: End) -> bytes:
    """The result line of a job that its worker died of."""
    try:
        identity = json.loads(line).get("id")
    except (ValueError, AttributeError, RecursionError):
        identity = None
    error = cause(end, Limits(end.seconds))
    if isinstance(error, ToldFault):
        traceback = {"traceback": error.traceback} if error.traceback else {}
        return failure(identity, {"kind": end.report[0], "message": str(error), **traceback})
    hint = f" ({error.hint})" if error.hint else ""
    return failure(identity, {"kind": error.kind, "message": f"{error.message}{hint}"})


def answers(lines: Lines, load: Load, *, jobs: int = 1) -> Generator[list[Answer], None, None]:
    """The result lines in the order of the jobs, as many at a time as have come in; their line ends
    are left to the caller.

    The processes are started now, and end with the generator. It raises FileError where PyTorch
    cannot be loaded, and ToldFault where the fork server failed.
    """
    workers = [_Worker() for _ in range(jobs)]
    page, (ended, lifetime) = SharedPage(), os.pipe()  # the fork server alone keeps the second end

    def fork_server() -> int:
        for worker in workers:
            worker.close()
        return _fork_workers(workers, load, lifetime)

    with held():  # an exception that a handler raises while Python forks is lost
        server = spawn(fork_server, page)
    os.close(lifetime)
    for worker in workers:
        worker.close_ends()
    return _answers(lines, workers, server, page, ended)


def _answers(
    lines: Lines, workers: list[_Worker], server: int, page: SharedPage, ended: int
) -> Generator[list[Answer], None, None]:
    jobs = len(workers)
    waiting: deque[Line] = deque()
    order: deque[_Frame] = deque()
    read_all = False
    try:
        while not read_all or waiting or order:
            idle = [worker for worker in workers if len(worker.frames) < (2 if jobs == 1 else 1)]
            for position, worker in enumerate(idle):
                share = min(FRAME, -(-len(waiting) // (len(idle) - position)))
                if (
                    not share
                    or len(order) >= AHEAD * jobs
                    or (worker.frames and not _fits(islice(waiting, share)))
                ):
                    continue
                frame = _Frame([waiting.popleft() for _ in range(share)])
                order.append(frame)
                worker.give(frame)
            has_room = not read_all and len(waiting) < FRAME * AHEAD * jobs
            if has_room and lines.fd is None and not waiting:
                read_all = _read(lines, waiting)
                continue
            busy = {worker.fd: worker for worker in workers if worker.frames}
            source = [lines.fd] if has_room and lines.fd is not None else []
            ready, _, _ = select.select([*busy, *source, ended], [], [])
            for fd in ready:
                if fd == ended:
                    raise cause(end, Limits(0)) if (end := page.end(0)).report else _CRASHED
                if fd in busy:
                    busy[fd].receive()
                else:
                    read_all = _read(lines, waiting)
            found: list[Answer] = []
            while order:
                found += order[0].take()
                if not order[0].whole:
                    break
                order.popleft()
            if found:
                yield found
    finally:
        os.kill(server, signal.SIGKILL)  # first, so that no worker is forked any more
        os.waitpid(server, 0)
        os.close(ended)
        for worker in workers:
            worker.kill()


def _fits(lines: Iterable[Line]) -> bool:
    """Whether a pipe can hold them: what a lone worker is given during the frame before must not
    wait to be read.
    """
    return sum(len(line.text) + 9 for line in lines) < IN_PIPE


def _read(lines: Lines, waiting: deque[Line]) -> bool:
    """Take in the next lines; whether that was the end."""
    more = lines.take()
    waiting.extend(more or ())
    return more is None


# --- in the fork server and its workers ---------------------------------------------------------


def _fork_workers(workers: list[_Worker], load: Load, lifetime: int) -> int:
    """Load PyTorch once, then keep every worker alive until there are no more tasks."""
    end_at_once()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # an alarm ends a worker, whatever C++ is doing
    with silent_streams(), load() as work:
        bound_memory()
        gc.collect()
        gc.freeze()  # what is loaded stays: no search for garbage goes through it again
        gc.set_threshold(GARBAGE)
        living = list(workers)

        def fork(worker: _Worker) -> int:
            def child() -> int:
                os.close(lifetime)
                for other in living:
                    if other is not worker:
                        other.close_ends()
                return _answer_frames(*worker.ends, worker.page, work)

            return spawn(child, worker.page)

        processes = {fork(worker): worker for worker in workers}
        while processes:
            pid, status = wait(-1)
            worker = processes.pop(pid)
            if worker.page.done and not status:  # there are no more tasks
                worker.close_ends()
                living.remove(worker)
                continue
            end = worker.page.end(status)
            if end.report and end.at[0] == _IDLE:
                raise cause(end, Limits(0))
            write_all(worker.ends[1], b"\n%b%b\n" % (_DIED, json.dumps(end).encode()))
            worker.page.write(_IDLE, 0)
            processes[fork(worker)] = worker
    return 0


def _answer_frames(tasks: int, results: int, page: SharedPage, work: Work) -> int:
    """Answer frame after frame until there are no more tasks; 1 where this process cannot go on."""
    pid, number = os.getpid(), _IDLE

    def begin(seconds: float) -> None:
        page.write(number, pid, seconds)
        signal.setitimer(signal.ITIMER_REAL, seconds)  # when the time is over, it ends this process

    def flush(found: list[bytes]) -> None:
        if found:
            write_all(results, b"\n".join(found) + b"\n")

    page.write(number, pid)
    read = partial(os.read, tasks)
    try:
        while header := read_exactly(read, _HEADER.size):
            number = 0
            page.write(number, pid)
            found: list[bytes] = []
            sent = time.monotonic()
            count, size = _HEADER.unpack(header)
            body = read_exactly(read, size)
            numbers = struct.unpack_from(f"={count}q", body)
            at_once = (
                count < FRAME
            )  # no more lines were there: no answer shall wait for a slow job after it
            for number, line in enumerate(body[8 * count :].split(b"\n")):
                page.write(number, pid)
                if line.startswith(ANSWERED):
                    found.append(_FAILED + line[1:])
                else:
                    answer, ok, can_go_on = work(line, numbers[number], begin)
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    found.append((_OK if ok else _FAILED) + answer)
                    if not can_go_on:
                        flush(found)
                        page.write(number if number + 1 < count else _IDLE, pid)
                        return 1
                if at_once or time.monotonic() - sent > FLUSH:
                    flush(found)
                    found, sent = [], time.monotonic()
            flush(found)
            number = _IDLE
            page.write(number, pid)
    except BrokenPipeError:  # the parent has ended
        pass
    return 0
