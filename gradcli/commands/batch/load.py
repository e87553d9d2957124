"""What a worker of `batch` loads: PyTorch, every command, and the function that answers a line."""

from collections.abc import Iterator
from contextlib import contextmanager

from gradcli.process.guards import loading_pytorch
from gradcli.process.pool import Begin, Work


@contextmanager
def loaded(*, allow_files: bool = False) -> Iterator[Work]:
    """Load all of it, and record PyTorch's warnings while jobs are answered.

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
