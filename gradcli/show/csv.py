"""`--csv`: the main table of a result with every number in shortest digits."""

import io
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import BinaryIO

from torch import Tensor

from gradcli.results import Result, part
from gradcli.show import bulk, numbers
from gradcli.show.table import Block, Cell, Cells, Places, Table, take


def render(result: Result) -> bytes:
    """The one table marked for CSV, a header line first, lines ended by a line feed."""
    buffer = io.BytesIO()
    write(result, buffer)
    return buffer.getvalue()


def write(result: Result, file: BinaryIO) -> None:
    """Write what `render` returns to a file, without holding the whole of it."""
    table = next(
        table
        for table in part(result, "show").tables(result, 6)
        if isinstance(table, Table) and table.csv
    )
    kept = [i for i, column in enumerate(table.columns) if column.csv_name]
    file.write(",".join(_quote(table.columns[i].csv_name) for i in kept).encode() + b"\n")
    size = max(1, bulk.PIECE // max(1, len(kept)))
    for block in table.blocks:
        parts = _parts(block, kept)
        for start in range(0, block.rows, size):
            rows = range(start, min(start + size, block.rows))
            lines = map(b",".join, zip(*(part(rows) for part in parts), strict=True))
            file.write(b"\n".join(lines) + b"\n")


def _parts(block: Block, kept: Sequence[int]) -> list[bulk.Lines]:
    """What writes the columns of a block: neighbours that hold numbers of one dtype are written
    together.
    """
    found: list[bulk.Lines] = []
    columns = [block.cells[i] for i in kept]
    for _, group in groupby(
        columns, lambda cells: cells.dtype if isinstance(cells, Tensor) else None
    ):
        neighbours = list(group)
        tensors = [cells for cells in neighbours if isinstance(cells, Tensor)]
        found += (
            [bulk.lines(tensors)] if tensors else [partial(_texts, cells) for cells in neighbours]
        )
    return found


def _texts(cells: Cells, rows: range) -> Sequence[bytes]:
    """One column's cells as text."""
    if isinstance(cells, str):
        return [_quote(cells).encode()] * len(rows)
    if isinstance(cells, Places):  # either all of them need quotes, or none
        sign = '"' if "," in cells[rows.start] else ""
        return (
            "\n".join([f"{sign}{cell}{sign}" for cell in take(cells, rows)]).encode().split(b"\n")
        )
    return [_text(cell).encode() for cell in take(cells, rows)]


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    return _quote(cell) if isinstance(cell, str) else numbers.exact(cell)


def _quote(text: str) -> str:
    """RFC 4180: a text with a comma, a quote or a line end stands in quotes, its own quotes
    doubled.
    """
    return '"' + text.replace('"', '""') + '"' if any(char in text for char in ',"\r\n') else text
