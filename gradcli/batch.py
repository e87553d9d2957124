"""Batches from Python: `gradcli.batch.run(jobs)` computes what `gradcli batch` does."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gradcli.process.pool import LinesOfJobs, answers


def run(
    jobs: Iterable[Mapping[str, Any]], *, processes: int = 1, allow_files: bool = False
) -> Iterator[dict[str, Any]]:
    """The result of each job in its turn, as the dictionary that `gradcli batch` would print.

    A job is what a line of `gradcli batch` holds. A job that fails gives `{"id": .., "error": {"kind": .., "message": ..}}`.
    """
    for found in answers(LinesOfJobs(jobs), jobs=processes, allow_files=allow_files):
        yield from (json.loads(answer.line) for answer in found)
