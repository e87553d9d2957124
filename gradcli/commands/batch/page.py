"""`batch` on the command line: jobs from a file or standard input, result lines to standard output,
and a progress bar.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from functools import partial

from gradcli.commands.batch.load import loaded
from gradcli.commands.batch.request import Batch
from gradcli.errors import ExitStatus, FileError
from gradcli.language.file_names import advice
from gradcli.language.source import Source
from gradcli.options.shared import OutputOptions
from gradcli.process.pool import LinesOfFile, answers
from gradcli.process.signals import EndedBySignal, handled
from gradcli.process.wire import write_all
from gradcli.world import World, is_terminal


def page(request: Batch, shown: OutputOptions, world: World, read_stdin: Callable[[], str]) -> int:
    """Answer every job, and return the exit status: 1 where any of them failed.

    Raises FileError where the file of jobs cannot be read.
    """
    fd = _open(request.file, world)
    failures = 0
    found = answers(
        LinesOfFile(fd), partial(loaded, allow_files=request.allow_files), jobs=request.jobs
    )
    writer = _LineWriter()  # it handles signals once the processes are there: what a handler raises during a fork is lost
    with handled(writer.handle), _progress(shown, world) as progress, contextlib.closing(found):
        for lines in found:
            failures += sum(not answer.ok for answer in lines)
            try:
                writer.write(
                    world.stdout.fileno(), b"\n".join(answer.line for answer in lines) + b"\n"
                )
            except BrokenPipeError:
                return ExitStatus.CLOSED_PIPE
            except OSError as error:
                raise FileError(
                    f"standard output cannot be written: {(error.strerror or '').lower()}"
                ) from None
            progress(len(lines), failures)
    return ExitStatus.FAILED if failures else ExitStatus.OK


def _open(path: str, world: World) -> int:
    if path == "-":
        if world.stdin is None:
            raise FileError("standard input is closed", hint="name a file of jobs")
        if is_terminal(world.stdin):
            world.tell(
                "reading jobs from standard input, one JSON object per line; end it with Ctrl-D\n"
            )
        return world.stdin.fileno()
    try:
        fd = os.open(path, os.O_RDONLY)
        os.read(fd, 0)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "invalid file name"
        place = Source(path, "FILE").span(0, len(path))
        raise FileError(
            f"the jobs cannot be read: {reason.lower()}",
            span=place,
            hint=advice(path) or "check the path",
        ) from None
    return fd


class _LineWriter:
    """Writes whole lines: a signal that ends the program takes effect once they are written, a
    second one at once.
    """

    def __init__(self) -> None:
        self._writing = False
        self._pending = 0

    def handle(self, number: int, frame: object) -> None:
        """Take a signal: die of it at once, unless lines are being written."""
        if not self._writing or self._pending:
            raise EndedBySignal(number)
        self._pending = number

    def write(self, fd: int, content: bytes) -> None:
        """Write whole lines, and die of a signal that came in the meantime."""
        self._writing = True
        write_all(fd, content)
        self._writing = False
        if self._pending:
            raise EndedBySignal(self._pending)


@contextlib.contextmanager
def _progress(shown: OutputOptions, world: World) -> Iterator[Callable[[int, int], None]]:
    """What is told of answered jobs and failures: a progress bar, on a terminal that nothing else
    is written to or typed at.
    """
    others = [stream for stream in (world.stdin, world.stdout) if stream is not None]
    if shown.quiet or not is_terminal(world.stderr) or any(map(is_terminal, others)):
        yield lambda count, failures: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(
        file=sys.stderr, color_system="standard" if world.colour(world.stderr) else None
    )
    columns = (
        SpinnerColumn(),
        TextColumn("{task.completed:,.0f} jobs, {task.fields[failures]:,} failed"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("jobs", total=None, failures=0)
        yield lambda count, failures: bar.update(task, advance=count, failures=failures)
