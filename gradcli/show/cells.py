"""Tables as text: numbers in significant digits with their points aligned, large tensors summarised."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from torch import Tensor

from gradcli.show import numbers
from gradcli.show.document import Part, TextColumn, Texts, TextTable
from gradcli.show.table import (
    Block,
    Bracketed,
    Cells,
    LineChart,
    Places,
    Sparse,
    Table,
    chosen,
    on_screen,
    take,
)

THRESHOLD = 1000
EDGE = 3
"""As in PyTorch: a tensor of more elements than THRESHOLD is summarised by EDGE at each end."""
GAP = "..."
PIECE = 2**13
"""Rows that are turned into text at a time."""
_INTEGER = re.compile(r"(?=-?[0-9])[^.e]*")
"""The integer part of a number; other cells do not match."""

Drawn = Table | LineChart | Bracketed


def parts(
    drawn: Sequence[Drawn | Part], expressions: Collection[str], digits: int, *, full: bool
) -> list[Part]:
    """What a form for another page writes: every table as text, with the one of `expressions` that
    its title contains, and no curve.
    """
    found: list[Part] = []
    for each in on_screen(drawn, full=full):
        if isinstance(each, Bracketed):
            each = each.table
        if isinstance(each, Table):
            table = text_table(each, digits, full=full)
            found.append(replace(table, formula=_contained(each.title, expressions)))
        elif not isinstance(each, LineChart):
            found.append(each)
    return found


def _contained(title: str, expressions: Collection[str]) -> str:
    """The longest of the expressions that a title contains as a whole; empty without one."""
    found = (each for each in expressions if re.search(rf"(?<!\w){re.escape(each)}(?!\w)", title))
    return max(found, key=len, default="")


def text_table(table: Table, digits: int, *, full: bool) -> TextTable:
    """The table with its cells as text: numbers in `digits` significant digits, a large tensor
    summarised as PyTorch does and at most `rows` rows of a block, unless `full`.
    """
    drawn = table if full else chosen(table)
    narrow = text_table(table.narrow, digits, full=full) if table.narrow else None
    columns = _columns(drawn, digits, summarise=not full and drawn.elements > THRESHOLD)
    return TextTable(
        columns, table.title, "", table.caption, table.keys, table.ends, table.ruled, narrow
    )


def _columns(table: Table, digits: int, *, summarise: bool) -> list[TextColumn]:
    shown = [i for i, column in enumerate(table.columns) if column.heading]
    data = shown[table.keys :]
    if not summarise or len(data) <= 2 * EDGE:
        return [_column(table, i, summarise, digits) for i in shown]
    kept = [*shown[: table.keys], *data[:EDGE], *data[-EDGE:]]
    columns = [_column(table, i, summarise, digits) for i in kept]
    sizes = [2 * EDGE + 1 if _is_cut(block, summarise) else block.rows for block in table.blocks]
    gaps = [Texts([[GAP] * size]) for size in sizes]
    columns.insert(-EDGE, TextColumn(GAP, gaps, numeric=True))
    return columns


def _column(table: Table, position: int, summarise: bool, digits: int) -> TextColumn:
    column, given = table.columns[position], [block.cells[position] for block in table.blocks]
    numeric = any(map(_is_numeric, given))
    named = any(isinstance(each, Places) and each.name for each in given)  # such as `w[0]`
    code, heading = column.code or named, column.heading.strip()
    cells = [_cells(block, position, summarise, digits) for block in table.blocks]
    return TextColumn(heading, _align(cells) if numeric else cells, numeric, code)


def _is_numeric(cells: Cells) -> bool:
    if isinstance(cells, Sparse):
        cells = [*cells.filled.values()]
    return isinstance(cells, Tensor) or (
        isinstance(cells, list) and any(isinstance(cell, int | float) for cell in cells)
    )


def _is_cut(block: Block, summarise: bool) -> bool:
    return summarise and block.rows > 2 * EDGE


def _cells(block: Block, position: int, summarise: bool, digits: int) -> Texts:
    """One column's cells in one block; a summary has three dots instead of the middle rows."""
    cells, count = block.cells[position], block.rows
    if not _is_cut(block, summarise):
        starts = range(0, count, PIECE)
        return Texts(_text(cells, range(i, min(i + PIECE, count)), digits) for i in starts)
    head, tail = (_text(cells, rows, digits) for rows in (range(EDGE), range(count - EDGE, count)))
    return Texts([[*head, GAP, *tail]])


def _text(cells: Cells, rows: range, digits: int) -> list[str]:
    if isinstance(cells, Tensor):
        return numbers.texts(cells[rows.start : rows.stop], digits)
    return [
        cell if isinstance(cell, str) else "" if cell is None else numbers.significant(cell, digits)
        for cell in take(cells, rows)
    ]  # fmt: skip


def _align(blocks: list[Texts]) -> list[Texts]:
    """Pad numbers so that their decimal points are aligned, and other cells to the right."""
    found = {size for block in blocks for piece in block.pieces for size in _sizes(piece)}
    left = max((point for point, _ in found if point >= 0), default=0)
    right = max((size - point for point, size in found if point >= 0), default=0)
    around = {}
    for point, size in found:
        lead = left - point if point >= 0 else left + right - size
        around[point, size] = (" " * lead, " " * (left + right - size - lead))

    def padded(piece: list[str]) -> list[str]:
        blanks = map(around.__getitem__, _sizes(piece))
        return [f"{lead}{cell}{rest}" for (lead, rest), cell in zip(blanks, piece, strict=True)]

    return [Texts(map(padded, block.pieces)) for block in blocks]


def _sizes(cells: list[str]) -> Iterator[tuple[int, int]]:
    """The length of each number's integer part, -1 for other cells, and of the whole cell."""
    points = [number.end() if number else -1 for number in map(_INTEGER.match, cells)]
    return zip(points, map(len, cells), strict=True)
