"""Batches: lines of jobs in, result lines out, in order, whatever a job does to its process.

The parent has not loaded PyTorch. It gives the workers frames of lines, and returns the answers in
the order of the jobs. The workers are children of a fork server, a process that has loaded PyTorch
and only forks the next worker when one has died: PyTorch is loaded once, and a job that kills its
worker costs milliseconds. A worker records its current job on a page shared with the fork server;
its own alarm ends a job that runs for too long.
"""

import gc
import json
import os
import select
import signal
import struct
import time
from collections import deque
from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import NamedTuple

from gradcli.errors import FileError, ToldFault
from gradcli.language.limits import JOB_TEXT
from gradcli.process.fork import End, SharedPage, spawn, wait
from gradcli.process.guards import bound_memory, silent_streams
from gradcli.process.signals import end_at_once, held
from gradcli.process.wire import read_exactly, write_all
from gradcli.process.worker import Limits, cause

FRAME = 256
"""Lines that a worker is given at a time, at most."""
AHEAD = 8
"""Frames per worker that are computed or wait for their turn, at most: the bound on memory."""
PIECE = 1 << 18
"""Bytes read at a time."""
IN_PIPE = 60_000
"""Bytes that a pipe holds before a write blocks: a little less than the 64 KiB of Linux."""
FLUSH = 0.05
"""Seconds that an answer may wait for the next ones of its frame."""
PATIENCE = 0.05
"""Seconds that lines wait before another worker is started, if the number of workers is open."""
GARBAGE = 20_000
"""Objects, those of some hundred jobs, that a worker allocates before a garbage collection."""
ANSWERED = b"\0"
"""The first byte of a line that is an answer already: that of a job which killed its worker."""
_OK, _FAILED, _DIED = b"+", b"-", b"!"
"""The first byte of a line to the parent: a success, a failure, or how the worker ended."""
_HEADER = struct.Struct("=qq")
"""The head of a frame: the number of its lines, and the bytes of their numbers and texts."""
_IDLE = -1
"""Instead of the number of a job: the worker has no frame."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""What some editors write at the start of a text in UTF-8."""

_CRASHED = FileError(
    "PyTorch could not be loaded, or it crashed", hint="gradcli flow --layers 1 shows why"
)

Begin = Callable[[float], None]
"""Called with the time limit in seconds just before a job or its next step begins."""
Work = Callable[[bytes, int, Begin], tuple[bytes, bool, bool]]
"""Given a line and its number, returns the result line, whether it is a success, and whether the
process can go on."""
Load = Callable[[], AbstractContextManager[Work]]
"""Loads PyTorch and all that jobs need, for as long as jobs are computed."""


class Answer(NamedTuple):
    """A result line without its end, and whether the job succeeded: it was computed, and what it
    checks and expects holds.
    """

    line: bytes
    ok: bool


# --- jobs as lines ------------------------------------------------------------------------------


class Line(NamedTuple):
    """A line of jobs and its number, from 1."""

    number: int
    text: bytes


class Splitter:
    """Splits a stream into lines. Of a line longer than `most` it keeps enough to show that."""

    def __init__(self, most: float = float("inf")) -> None:
        self._most = most
        self._size = 0
        self._pieces: list[bytes] = []

    def split(self, piece: bytes) -> list[bytes]:
        """The lines that `piece` completes."""
        *lines, last = piece.split(b"\n")
        if lines:
            lines[0] = self.rest() + lines[0]
        if self._size <= self._most:
            self._size += len(last)
            self._pieces.append(last)
        return lines

    def rest(self) -> bytes:
        """Remove and return what was read of a line without an end."""
        rest = b"".join(self._pieces)
        self._pieces, self._size = [], 0
        return rest


class LinesOfFile:
    """The lines of a pipe or file, as they come in."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._splitter = Splitter(JOB_TEXT.value)
        self._count = 0

    def take(self) -> list[Line] | None:
        """The lines that one read completes, without blank ones; None at the end."""
        piece = os.read(self.fd, PIECE)
        texts = self._splitter.split(piece) if piece else [self._splitter.rest()]
        if texts and not self._count:
            texts[0] = texts[0].removeprefix(_BYTE_ORDER_MARK)
        numbered = enumerate(texts, self._count + 1)
        lines = [_checked(number, text) for number, text in numbered if text.strip()]
        self._count += len(texts)
        return lines if piece or lines else None


def _checked(number: int, text: bytes) -> Line:
    """A line that cannot be mistaken for an answer; a line that is too long becomes its answer."""
    if len(text) > JOB_TEXT.value:
        message = f"line {number}: a job has at most {JOB_TEXT.value:,} {JOB_TEXT.unit} ({JOB_TEXT.reason})"
        return Line(number, ANSWERED + _failure(None, {"kind": "size", "message": message}))
    return Line(number, b" " + text if text.startswith(ANSWERED) else text)


def _failure(identity: object, error: Mapping[str, str]) -> bytes:
    """The result line of a job that no worker can answer."""
    return json.dumps({"id": identity, "error": error}, separators=(",", ":")).encode()


# --- in the parent ------------------------------------------------------------------------------


@dataclass
class _Frame:
    """Consecutive lines, and the answers to the first of them.

    `taken` answers have been returned; `base` existed when a worker was given the frame last.
    """

    lines: list[Line]
    answers: list[bytes] = field(default_factory=list)
    taken: int = 0
    base: int = 0

    @property
    def complete(self) -> bool:
        return len(self.answers) == len(self.lines)

    def take(self) -> list[Answer]:
        """The answers that came in since the last call."""
        new = [Answer(line[1:], line.startswith(_OK)) for line in self.answers[self.taken :]]
        self.taken = len(self.answers)
        return new


class _Worker:
    """A worker as the parent sees it: its page, and a pipe in each direction.

    `ends` are the worker's own ends of the pipes, `frames` those without all answers, in order.
    """

    def __init__(self) -> None:
        self.page = SharedPage()
        tasks, self._tasks = os.pipe()
        self.fd, answers = os.pipe()
        self.ends = (tasks, answers)
        self._splitter = Splitter()
        self.frames: deque[_Frame] = deque()

    @property
    def running(self) -> bool:
        """Whether the process has PyTorch loaded and has begun."""
        return self.page.read()[1] != 0

    def give(self, frame: _Frame) -> None:
        """Send the lines of a frame that have no answer yet."""
        self.frames.append(frame)
        frame.base = len(frame.answers)
        lines = frame.lines[frame.base :]
        numbers = struct.pack(f"={len(lines)}q", *(line.number for line in lines))
        body = numbers + b"\n".join(line.text for line in lines)
        with suppress(BrokenPipeError):  # the fork server has ended, as the parent will notice next
            write_all(self._tasks, _HEADER.pack(len(lines), len(body)) + body)

    def receive(self) -> None:
        """Read answers. A job that killed the worker is answered here; the rest is sent again."""
        lines = self._splitter.split(os.read(self.fd, PIECE))
        start = 0
        for death in [i for i, line in enumerate(lines) if line.startswith(_DIED)]:
            self._assign(lines[start : death - 1])  # the line before the mark is empty or cut off
            self._replace(End(*json.loads(lines[death][1:])))
            start = death + 1
        self._assign(lines[start:])

    def _assign(self, answers: list[bytes]) -> None:
        """Add answers to the frames that they belong to."""
        while answers:
            frame = self.frames[0]
            room = len(frame.lines) - len(frame.answers)
            frame.answers += answers[:room]
            answers = answers[room:]
            if frame.complete:
                self.frames.popleft()

    def _replace(self, end: End) -> None:
        """Answer the job that killed the worker, and give the new worker the rest of its frame."""
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
    """The result line of a job that killed its worker."""
    try:
        identity = json.loads(line).get("id")
    except (ValueError, AttributeError, RecursionError):
        identity = None
    error = cause(end, Limits(end.seconds))
    if isinstance(error, ToldFault):
        traceback = {"traceback": error.traceback} if error.traceback else {}
        return _failure(identity, {"kind": end.report[0], "message": str(error), **traceback})
    return _failure(identity, {"kind": error.kind, "message": error.on_one_line})


def answers(
    lines: LinesOfFile, load: Load, *, jobs: int = 1, most: int = 0
) -> Generator[list[Answer], None, None]:
    """The result lines without line ends, in the order of the jobs, as many at a time as came in.

    `jobs` processes start now, more of them, up to `most`, where lines wait; all end with the
    generator. It raises FileError if PyTorch cannot be loaded, and ToldFault if the fork server
    failed.
    """
    workers = [_Worker() for _ in range(max(jobs, most))]
    page, (ended, lifetime) = SharedPage(), os.pipe()  # only the fork server keeps `lifetime`
    orders, order = os.pipe()  # a byte for each further worker

    def fork_server() -> int:
        os.close(order)
        for worker in workers:
            worker.close()
        return _fork_workers(workers, jobs, load, lifetime, orders)

    with held():  # Python drops an exception that a signal handler raises during a fork
        server = spawn(fork_server, page)
    os.close(lifetime)
    os.close(orders)
    for worker in workers:
        worker.close_ends()
    return _answers(lines, workers, jobs, order, server, page, ended)


def _answers(
    lines: LinesOfFile, all_workers: list[_Worker], jobs: int, orders: int, server: int,
    page: SharedPage, ended: int,
) -> Generator[list[Answer], None, None]:  # fmt: skip
    workers, spare = all_workers[:jobs], deque(all_workers[jobs:])
    answered, since = 0, time.monotonic()
    waiting: deque[Line] = deque()
    order: deque[_Frame] = deque()
    at_end = False
    try:
        while not at_end or waiting or order:
            # Until all workers are started, frames grow with what was answered: slow jobs wait here.
            share = min(FRAME, 1 + answered) if spare else FRAME
            _distribute(waiting, workers, order, share)
            patient = bool(waiting and spare)
            if not patient or not workers[0].running:
                since = time.monotonic()
            if patient and (len(waiting) > FRAME or time.monotonic() - since > PATIENCE):
                os.write(orders, b"+")
                workers.append(spare.popleft())
                continue
            has_room = not at_end and len(waiting) < FRAME * AHEAD * len(workers)
            busy = {worker.fd: worker for worker in workers if worker.frames}
            source = [lines.fd] if has_room else []
            timeout = PATIENCE if patient else None
            ready, _, _ = select.select([*busy, *source, ended], [], [], timeout)
            for fd in ready:
                if fd == ended:
                    raise cause(end, Limits(0)) if (end := page.end(0)).report else _CRASHED
                if fd in busy:
                    busy[fd].receive()
                else:
                    read = lines.take()
                    waiting.extend(read or ())
                    at_end = read is None
            new: list[Answer] = []
            while order:
                new += order[0].take()
                if not order[0].complete:
                    break
                order.popleft()
            answered += len(new)
            if new:
                yield new
    finally:
        os.kill(server, signal.SIGKILL)  # first, so that it forks no more workers
        os.waitpid(server, 0)
        os.close(ended)
        os.close(orders)
        for worker in all_workers:
            worker.kill()


def _distribute(
    waiting: deque[Line], workers: list[_Worker], order: deque[_Frame], most: int
) -> None:
    """Give waiting lines to idle workers, at most so many to each. A lone worker gets its next
    frame in advance, if a pipe can hold it: the parent must not wait until it is read.
    """
    alone = len(workers) == 1
    idle = [worker for worker in workers if len(worker.frames) < (2 if alone else 1)]
    for position, worker in enumerate(idle):
        share = min(most, -(-len(waiting) // (len(idle) - position)))
        if not share or len(order) >= AHEAD * len(workers):
            return
        if worker.frames and sum(len(line.text) + 9 for line in islice(waiting, share)) >= IN_PIPE:
            return
        frame = _Frame([waiting.popleft() for _ in range(share)])
        order.append(frame)
        worker.give(frame)


# --- in the fork server and its workers ---------------------------------------------------------


def _fork_workers(workers: list[_Worker], jobs: int, load: Load, lifetime: int, orders: int) -> int:
    """Load PyTorch once and fork `jobs` workers, and one more for each byte in `orders`. Then
    replace every worker that dies until there are no more tasks.
    """
    end_at_once()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # an alarm ends a worker even inside C++
    with silent_streams(), load() as work:
        bound_memory()
        gc.collect()
        gc.freeze()  # what is loaded stays: no later collection visits it
        gc.set_threshold(GARBAGE)
        living = list(workers)

        def fork(worker: _Worker | None) -> int:
            """Fork a worker; for None a process that ends when one is ordered: this one waits."""

            def child() -> int:
                os.close(lifetime)
                for other in living:
                    if other is not worker:
                        other.close_ends()
                if worker is None:
                    return 0 if os.read(orders, 1) else 1
                return _answer_frames(*worker.ends, worker.page, work)

            return spawn(child, worker.page if worker else SharedPage())

        processes = {fork(worker): worker for worker in workers[:jobs]}
        spare = deque(workers[jobs:])
        bell = fork(None) if spare else 0
        while processes:
            pid, status = wait(-1)
            if pid == bell:
                if not status:
                    worker = spare.popleft()
                    processes[fork(worker)] = worker
                    bell = fork(None) if spare else 0
                continue
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
    """Answer frame after frame until there are no more tasks; 1 if this process cannot go on."""
    pid, number = os.getpid(), _IDLE

    def begin(seconds: float) -> None:
        page.write(number, pid, seconds)
        signal.setitimer(signal.ITIMER_REAL, seconds)  # the alarm ends this process

    def flush(answers: list[bytes]) -> None:
        if answers:
            write_all(results, b"\n".join(answers) + b"\n")

    page.write(number, pid)
    read = partial(os.read, tasks)
    try:
        while header := read_exactly(read, _HEADER.size):
            number = 0
            page.write(number, pid)
            unsent: list[bytes] = []
            sent = time.monotonic()
            count, size = _HEADER.unpack(header)
            body = read_exactly(read, size)
            numbers = struct.unpack_from(f"={count}q", body)
            at_once = count < FRAME  # no more lines were there: no answer waits for a slow job
            for number, line in enumerate(body[8 * count :].split(b"\n")):
                page.write(number, pid)
                if line.startswith(ANSWERED):
                    unsent.append(_FAILED + line[1:])
                else:
                    answer, ok, can_go_on = work(line, numbers[number], begin)
                    signal.setitimer(signal.ITIMER_REAL, 0)
                    unsent.append((_OK if ok else _FAILED) + answer)
                    if not can_go_on:
                        flush(unsent)
                        page.write(number if number + 1 < count else _IDLE, pid)
                        return 1
                if at_once or time.monotonic() - sent > FLUSH:
                    flush(unsent)
                    unsent, sent = [], time.monotonic()
            flush(unsent)
            number = _IDLE
            page.write(number, pid)
    except BrokenPipeError:  # the parent has ended
        pass
    return 0
