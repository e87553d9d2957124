"""`batch`: one JSON job per line in, one JSON result per line out."""

from dataclasses import dataclass
from typing import ClassVar

from gradcli.errors import UsageError
from gradcli.options.fields import FLAG, WHOLE, Paths, ValueKind, argument, option

MOST_JOBS = 64
AUTO = "auto"
JOBS = ValueKind(
    f"N|{AUTO}",
    lambda source: None if source.text.strip() == AUTO else WHOLE.read(source),
    hints=(AUTO,),
)
FILE = ValueKind("FILE", lambda source: source.text, paths=Paths(""))


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One JSON job per line in, one JSON result per line out, in the same order; PyTorch is loaded
    only once.
    """

    file: str = argument(FILE, "the jobs; - or nothing means standard input", "-")
    jobs: int | None = option(
        JOBS, "parallel processes; auto: as many as processors where lines wait", None, shown=AUTO
    )
    allow_files: bool = option(FLAG, "let jobs read files: @FILE", False)
    loads_pytorch: ClassVar[bool] = True  # though its process does not: its workers do

    def __post_init__(self) -> None:
        if self.jobs is not None and not 1 <= self.jobs <= MOST_JOBS:
            raise UsageError(f"--jobs must be from 1 to {MOST_JOBS}")
