"""What was found in a program, and the places of its source that a finding names."""

import linecache
from dataclasses import dataclass
from types import CodeType

from gradcli.catalogue.mistakes import MISTAKES


@dataclass(slots=True, eq=False, repr=False)
class Place:
    """A line of the user's program. There is one object for each instruction that was watched, so
    places are compared with `is`.
    """

    file: str
    line: int
    code: CodeType | None = None
    """The code object of the line; kept, so that its id is not used again."""
    first: int = 0
    """When the line first ran, as `last`."""
    last: int = 0
    """When the line last ran, in watched operations since the program began."""

    @property
    def text(self) -> str:
        """The line as it is written, without its indentation; empty if it cannot be read."""
        return linecache.getline(self.file, self.line).strip()

    @property
    def address(self) -> tuple[str, int]:
        """The file and the line."""
        return self.file, self.line

    def __repr__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class Also:
    """Another line that belongs to a finding, and what happened there."""

    place: Place
    text: str


def also_at(place: Place | None, text: str) -> tuple[Also, ...]:
    """A line that belongs to a finding, alone; nothing if it was not seen."""
    return (Also(place, text),) if place else ()


@dataclass(frozen=True)
class Finding:
    """One fault of a program: the name of its entry in the catalogue of mistakes, the line that
    causes it, what happened there, and the other lines that belong to it.

    Raises KeyError if the catalogue has no such entry.
    """

    entry: str
    place: Place
    text: str
    also: tuple[Also, ...] = ()

    def __post_init__(self) -> None:
        MISTAKES[self.entry]
