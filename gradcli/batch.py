"""Batches from Python: `gradcli.batch.run(jobs)` computes what `gradcli batch` does."""

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from gradcli.commands.batch.load import loaded
from gradcli.process.pool import LinesOfJobs, answers


def run(
    jobs: Iterable[Mapping[str, Any]], *, processes: int = 1, allow_files: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield the result of each job in order, as the dictionary that `gradcli batch` prints.

    A job holds what a line of `gradcli batch` holds. A job that fails gives `{"id": .., "error":
    {"kind": .., "message": ..}}`.
    """
    load = partial(loaded, allow_files=allow_files)
    for group in answers(LinesOfJobs(jobs), load, jobs=processes):
        yield from (json.loads(answer.line) for answer in group)
