"""`batch` on the command line: lines of jobs in, lines of results out, and a progress bar; and what
its workers load.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

from gradcli.commands.batch.request import MOST_JOBS, Batch
from gradcli.errors import ExitStatus, FileError, system_reason
from gradcli.language.file_names import advice
from gradcli.language.source import Source
from gradcli.options.shared import OutputOptions
from gradcli.process.guards import loading_pytorch
from gradcli.process.pool import Begin, LinesOfFile, Work, answers
from gradcli.process.signals import EndedBySignal, handled
from gradcli.process.wire import write_all
from gradcli.world import World, is_terminal


def page(request: Batch, shown: OutputOptions, world: World, read_stdin: Callable[[], str]) -> int:
    """Answer every job, and return the exit status: 1 if any of them failed.

    Raises FileError if the jobs cannot be read or the results not be written.
    """
    jobs = LinesOfFile(_open(request.file, world))
    failures = 0
    load = partial(loaded, allow_files=request.allow_files)
    most = min(MOST_JOBS, _processors()) if request.jobs is None else 0
    batches = answers(jobs, load, jobs=request.jobs or 1, most=most)
    # Signals are handled only after the forks: what a handler raises during a fork is lost.
    writer = _LineWriter()
    with handled(writer.handle), _progress(shown, world) as progress, contextlib.closing(batches):
        for batch in batches:
            failures += sum(not answer.ok for answer in batch)
            content = b"\n".join(answer.line for answer in batch) + b"\n"
            try:
                writer.write(world.stdout.fileno(), content)
            except BrokenPipeError:
                return ExitStatus.CLOSED_PIPE
            except OSError as error:
                message = f"standard output cannot be written: {system_reason(error)}"
                raise FileError(message) from None
            progress(len(batch), failures)
    return ExitStatus.FAILED if failures else ExitStatus.OK


@contextlib.contextmanager
def loaded(*, allow_files: bool = False) -> Iterator[Work]:
    """Load PyTorch and every command in a worker, and record PyTorch's warnings while jobs are answered.

    Raises FileError if PyTorch cannot be loaded.
    """
    with loading_pytorch():
        from gradcli.commands.batch import lines
        from gradcli.commands.batch.plan import Plans
        from gradcli.commands.dispatch import lost, preload
        from gradcli.evaluate.job import listening

        preload()
    plans = Plans()

    def work(line: bytes, number: int, begin: Begin) -> tuple[bytes, bool, bool]:
        answer, ok = lines.answer(line, number, begin, plans, allow_files=allow_files)
        return answer, ok, not lost  # a process that has lost its GPU cannot use it again

    with listening():
        yield work


def _processors() -> int:
    """The processors that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def _open(path: str, world: World) -> int:
    if path == "-":
        if world.stdin is None:
            raise FileError("standard input is closed", hint="name a file of jobs")
        if is_terminal(world.stdin):
            hint = "reading jobs from standard input, one JSON object per line; end it with Ctrl-D"
            world.tell(f"{hint}\n")
        return world.stdin.fileno()
    try:
        fd = os.open(path, os.O_RDONLY)
        os.read(fd, 0)
    except (OSError, ValueError) as error:
        reason = system_reason(error) if isinstance(error, OSError) else "invalid file name"
        message, hint = f"the jobs cannot be read: {reason}", advice(path) or "check the path"
        raise FileError(message, span=Source(path, "FILE").whole, hint=hint) from None
    return fd


class _LineWriter:
    """Writes whole lines: a signal ends the program after they are written, a second one at once."""

    def __init__(self) -> None:
        self._writing = False
        self._pending = 0

    def handle(self, number: int, frame: object) -> None:
        """The signal handler: end the program, unless lines are being written."""
        if not self._writing or self._pending:
            raise EndedBySignal(number)
        self._pending = number

    def write(self, fd: int, content: bytes) -> None:
        """Write whole lines, then end the program if a signal has arrived."""
        self._writing = True
        write_all(fd, content)
        self._writing = False
        if self._pending:
            raise EndedBySignal(self._pending)


@contextlib.contextmanager
def _progress(shown: OutputOptions, world: World) -> Iterator[Callable[[int, int], None]]:
    """A function of answered jobs and failures that moves a progress bar.

    The bar needs a terminal as stderr, and no other stream on a terminal.
    """
    others = [stream for stream in (world.stdin, world.stdout) if stream is not None]
    if shown.quiet or not is_terminal(world.stderr) or any(map(is_terminal, others)):
        yield lambda count, failures: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    colours: Literal["standard"] | None = "standard" if world.colour(world.stderr) else None
    console = Console(file=sys.stderr, color_system=colours)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.completed:,.0f} jobs, {task.fields[failures]:,} failed"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("jobs", total=None, failures=0)
        yield lambda count, failures: bar.update(task, advance=count, failures=failures)
