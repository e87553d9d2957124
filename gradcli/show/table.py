"""What a table is before anybody draws it: columns, blocks of rows, a title, a caption. Terminal
and CSV draw the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import overload

from torch import Tensor

from gradcli import result_paths
from gradcli.show import numbers


class Places(Sequence[str]):
    """The indices of a tensor's elements in row-major order as text, made when asked for: `w[0,1]`,
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
        if isinstance(position, slice):
            start, stop, step = position.indices(len(self))
            return (
                self._texts(start, stop)
                if step == 1
                else [self[i] for i in range(start, stop, step)]
            )
        if not 0 <= position < len(self):
            raise IndexError(position)
        return self._texts(position, position + 1)[0]

    def _texts(self, start: int, stop: int) -> list[str]:
        """Some consecutive ones; what those along the last dimension have in common is put together
        once.
        """
        if not self.shape:
            return [self.name] * (stop - start)
        opening, closing = (f"{self.name}[", "]") if self.name else ("", "")
        width = self.shape[-1]
        found: list[str] = []
        while start < stop:
            line, first = divmod(start, width)
            last = min(width, first + stop - start)
            lead = opening + "".join(f"{i}," for i in result_paths.index(line, self.shape[:-1]))
            found += [f"{lead}{i}{closing}" for i in range(first, last)]
            start += last - first
        return found


Cell = str | int | float | None
"""One cell: text, a number, or nothing."""
Cells = Tensor | Sequence[Cell]
"""A column's cells in one block: one per row; a text alone stands for itself in every row."""


@dataclass(frozen=True)
class Column:
    """One column. `heading` is for the screen, `csv` for CSV (the heading unless given); empty
    leaves it out there.
    """

    heading: str
    csv: str | None = None

    @property
    def csv_name(self) -> str:
        """The name in the header line of CSV."""
        return self.heading if self.csv is None else self.csv


@dataclass(frozen=True)
class Block:
    """Rows that belong together, such as one input's elements. Those in `kept` are shown even where
    only some are.
    """

    rows: int
    cells: tuple[Cells, ...]
    kept: tuple[int, ...] = ()


@dataclass(frozen=True)
class Table:
    """A table to draw. The first `keys` columns name the rows. `csv` marks the one that `--csv`
    writes.

    Where the columns do not fit side by side, `narrow` is drawn instead, if there is one; else
    further columns go below, and the first `keys` and the last `ends` columns are in every piece.
    `screen` is False for one that is for CSV alone, `more` marks one that is shown with --full
    alone. `rows` bounds the rows on the screen (0: no bound): the first, the last and some evenly
    chosen between them.
    """

    columns: tuple[Column, ...]
    blocks: tuple[Block, ...]
    title: str = ""
    caption: str = ""
    keys: int = 1
    ends: int = 0
    narrow: "Table | None" = None
    csv: bool = field(default=True)
    screen: bool = True
    more: bool = False
    rows: int = 0

    @property
    def elements(self) -> int:
        """The numbers in it."""
        return sum(
            block.rows * sum(isinstance(cells, Tensor) for cells in block.cells)
            for block in self.blocks
        )


@dataclass(frozen=True)
class LineChart:
    """Numbers at 0, 1, 2, ... to be drawn as a small curve under the tables; `name` says what they
    are, `along` what counts.
    """

    values: Tensor
    name: str
    along: str
    screen: bool = field(default=True, init=False)
    more: bool = field(default=False, init=False)


def chosen(table: Table) -> Table:
    """The table with the rows alone that are meant for the screen."""
    blocks = tuple(
        _evenly(block, table.rows) if 0 < table.rows < block.rows else block
        for block in table.blocks
    )
    return replace(table, blocks=blocks)


def _evenly(block: Block, count: int) -> Block:
    places = sorted(
        {round(i * (block.rows - 1) / (count - 1)) for i in range(count)}.union(block.kept)
    )
    cells = tuple(
        each
        if isinstance(each, str)
        else each[places]
        if isinstance(each, Tensor)
        else [each[i] for i in places]
        for each in block.cells
    )
    return Block(len(places), cells)


def take(cells: Cells, rows: range) -> Sequence[Cell]:
    """The cells of consecutive rows, tensors as numbers of shortest digits."""
    if isinstance(cells, str):
        return [cells] * len(rows)
    piece = cells[rows.start : rows.stop]
    return numbers.flat(piece) if isinstance(piece, Tensor) else piece
