"""A table before it is drawn or written as CSV: columns, blocks of rows, a title, a caption."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any, NamedTuple, TypeVar, overload

from torch import Tensor

from gradcli import result_paths
from gradcli.show import numbers


class Places(Sequence[str]):
    """The indices of a tensor's elements as text, in row-major order, computed on demand: `w[0,1]`,
    or `0,1` without a name.
    """

    def __init__(self, shape: Sequence[int], name: str = "") -> None:
        self.shape = tuple(shape)
        self.name = name

    def __len__(self) -> int:
        return prod(self.shape)

    @overload
    def __getitem__(self, position: int) -> str: ...

    @overload
    def __getitem__(self, position: slice) -> Sequence[str]: ...

    def __getitem__(self, position: int | slice) -> str | Sequence[str]:
        places = range(len(self))[position]
        if isinstance(places, int):
            return self._texts(places, places + 1)[0]
        if places.step == 1:
            return self._texts(places.start, places.stop)
        return [self[i] for i in places]

    def _texts(self, start: int, stop: int) -> list[str]:
        """Consecutive indices; what a row of the last dimension shares is formatted once."""
        if not self.shape:
            return [self.name] * (stop - start)
        opening, closing = (f"{self.name}[", "]") if self.name else ("", "")
        width = self.shape[-1]
        texts: list[str] = []
        while start < stop:
            row, first = divmod(start, width)
            last = min(width, first + stop - start)
            lead = opening + "".join(f"{i}," for i in result_paths.index(row, self.shape[:-1]))
            texts += [f"{lead}{i}{closing}" for i in range(first, last)]
            start += last - first
        return texts


Cell = str | int | float | None
"""One cell: text, a number, or empty."""
Cells = Tensor | Sequence[Cell]
"""A column's cells in one block: one per row, or one text for all rows."""


@dataclass(frozen=True)
class Sparse(Sequence[Cell]):
    """`length` cells that are empty but for those in `filled`, by their rows."""

    filled: Mapping[int, Cell]
    length: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, position: Any) -> Any:
        rows = range(self.length)[position]
        return self.filled.get(rows) if isinstance(rows, int) else [*map(self.filled.get, rows)]


@dataclass(frozen=True)
class Column:
    """One column. An empty `heading` hides it on the screen, an empty `csv` in CSV; without `csv`
    the heading serves for both. With `code`, the cells are expressions, or hold some.
    """

    heading: str
    csv: str | None = None
    code: bool = False

    @property
    def csv_name(self) -> str:
        """The name in the header line of CSV."""
        return self.heading if self.csv is None else self.csv


@dataclass(frozen=True)
class Block:
    """Rows that belong together, such as an input's elements; a bound on rows keeps `kept`."""

    rows: int
    cells: tuple[Cells, ...]
    kept: tuple[int, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table to draw. The first `keys` columns name the rows.

    If the columns do not fit side by side, `narrow` is drawn instead; without it the columns are
    drawn in pieces below each other, each with the first `keys` and the last `ends` columns. `csv`
    marks the table that `--csv` writes, `screen` one for the screen, `more` one that only --full
    shows. `rows` bounds the rows on the screen (0: no bound) to evenly spaced ones. A line follows
    each block of several rows; with `ruled` one precedes it too.
    """

    columns: tuple[Column, ...]
    blocks: tuple[Block, ...]
    title: str = ""
    caption: str = ""
    keys: int = 1
    ends: int = 0
    narrow: "Table | None" = None
    csv: bool = True
    screen: bool = True
    more: bool = False
    rows: int = 0
    ruled: bool = False

    @property
    def elements(self) -> int:
        """The number of tensor elements in the table."""
        return sum(
            block.rows * sum(isinstance(cells, Tensor | Sparse) for cells in block.cells)
            for block in self.blocks
        )


@dataclass(frozen=True)
class LineChart:
    """Numbers `name`, [n], at 0, 1, 2, ... of `along`, drawn as a small curve below the tables."""

    values: Tensor
    name: str
    along: str


class Mark(NamedTuple):
    """A part of a text, from column `start` up to `stop`, and its label."""

    start: int
    stop: int
    label: str


@dataclass(frozen=True)
class Bracketed:
    """Texts of one line each with brackets below their parts, the inner ones first; where these do
    not fit, `table` is drawn instead.
    """

    texts: Sequence[tuple[str, Iterable[Mark]]]
    table: Table


_Drawn = TypeVar("_Drawn")


def on_screen(drawn: Iterable[_Drawn], *, full: bool) -> list[_Drawn]:
    """What a terminal or another page shows: no table that is for CSV alone and, unless `full`, none
    that only --full shows.
    """
    return [
        each
        for each in drawn
        if not isinstance(each, Table) or (each.screen and (full or not each.more))
    ]


def chosen(table: Table) -> Table:
    """The table with at most `rows` rows of each block."""
    count = table.rows
    blocks = (_evenly(block, count) if 0 < count < block.rows else block for block in table.blocks)
    return replace(table, blocks=tuple(blocks))


def _evenly(block: Block, count: int) -> Block:
    spaced = {round(i * (block.rows - 1) / (count - 1)) for i in range(count)}
    rows = sorted(spaced.union(block.kept))

    def choose(cells: Cells) -> Cells:
        if isinstance(cells, str):
            return cells
        return cells[rows] if isinstance(cells, Tensor) else [cells[i] for i in rows]

    return Block(len(rows), tuple(map(choose, block.cells)))


def take(cells: Cells, rows: range) -> Sequence[Cell]:
    """The cells of consecutive rows, tensors as numbers in shortest digits."""
    if isinstance(cells, str):
        return [cells] * len(rows)
    piece = cells[rows.start : rows.stop]
    return numbers.flat(piece) if isinstance(piece, Tensor) else piece
