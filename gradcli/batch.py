"""Batches from Python: `gradcli.batch.run(jobs)` computes what `gradcli batch` does."""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from gradcli.commands.batch.load import loaded
from gradcli.process.jobs import LinesOfJobs
from gradcli.process.pool import answers


def run(
    jobs: Iterable[Mapping[str, Any]], *, processes: int = 1, allow_files: bool = False
) -> Iterator[dict[str, Any]]:
    """The result of each job in its turn, as the dictionary that `gradcli batch` would print.

    A job is what a line of `gradcli batch` holds. A job that fails gives `{"id": .., "error":
    {"kind": .., "message": ..}}`.
    """
    for found in answers(
        LinesOfJobs(jobs), partial(loaded, allow_files=allow_files), jobs=processes
    ):
        yield from (json.loads(answer.line) for answer in found)
