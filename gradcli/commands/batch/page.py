"""`batch` on the command line: jobs from a file or standard input, result lines to standard output, and a progress bar."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator

from gradcli.commands.batch.request import Batch
from gradcli.errors import ExitStatus, FileError
from gradcli.language.file_names import advice
from gradcli.language.source import Source
from gradcli.options.shared import Shown
from gradcli.process import pool as batch
from gradcli.process.supervise import Died, signals_to
from gradcli.world import World, is_terminal


def page(request: Batch, shown: Shown, world: World, read_stdin: Callable[[], str]) -> int:
    """Answer every job, and return the exit status: 1 where any of them failed.

    Raises FileError where the file of jobs cannot be read.
    """
    fd = _open(request.file, world)
    failures = 0
    source = batch.LinesOfFile(fd)
    found = batch.answers(source, jobs=request.jobs, allow_files=request.allow_files)
    mail = _Mail()  # in charge once the processes are there: what a handler raises while Python forks is lost
    with signals_to(mail.arrive), _progress(shown, world) as progress, contextlib.closing(found):
        for lines in found:
            failures += sum(not answer.ok for answer in lines)
            try:
                mail.write(world.stdout.fileno(), b"\n".join(answer.line for answer in lines) + b"\n")
            except BrokenPipeError:
                return ExitStatus.CLOSED_PIPE
            except OSError as error:
                raise FileError(f"standard output cannot be written: {(error.strerror or '').lower()}") from None
            progress(len(lines), failures)
    return ExitStatus.FAILED if failures else ExitStatus.OK


def _open(path: str, world: World) -> int:
    if path == "-":
        if world.stdin is None:
            raise FileError("standard input is closed", cure="name a file of jobs")
        if is_terminal(world.stdin):
            world.tell("reading jobs from standard input, one JSON object per line; end it with Ctrl-D\n")
        return world.stdin.fileno()
    try:
        fd = os.open(path, os.O_RDONLY)
        os.read(fd, 0)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "invalid file name"
        place = Source(path, "FILE").span(0, len(path))
        raise FileError(
            f"the jobs cannot be read: {reason.lower()}", place=place, cure=advice(path) or "check the path"
        ) from None
    return fd


class _Mail:
    """Signals that end the program, held back while lines are being written, so that none is cut; a second one is not."""

    def __init__(self) -> None:
        self._writing = False
        self._held = 0

    def arrive(self, number: int, frame: object) -> None:
        """Take a signal: die of it at once, unless lines are being written."""
        if not self._writing or self._held:
            raise Died(number)
        self._held = number

    def write(self, fd: int, content: bytes) -> None:
        """Write whole lines, and die of a signal that came in the meantime."""
        self._writing = True
        view = memoryview(content)
        while view:
            view = view[os.write(fd, view) :]
        self._writing = False
        if self._held:
            raise Died(self._held)


@contextlib.contextmanager
def _progress(shown: Shown, world: World) -> Iterator[Callable[[int, int], None]]:
    """What is told of answered jobs and failures: a progress bar, on a terminal that nothing else is written to or typed at."""
    others = [stream for stream in (world.stdin, world.stdout) if stream is not None]
    if shown.quiet or not is_terminal(world.stderr) or any(map(is_terminal, others)):
        yield lambda count, failures: None
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(file=sys.stderr, color_system="standard" if world.colour(world.stderr) else None)
    columns = (
        SpinnerColumn(),
        TextColumn("{task.completed:,.0f} jobs, {task.fields[failures]:,} failed"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("jobs", total=None, failures=0)
        yield lambda count, failures: bar.update(task, advance=count, failures=failures)
