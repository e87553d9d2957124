"""`--csv`: the main table of a result, every number in shortest digits."""

import io
from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import BinaryIO

from torch import Tensor

from gradcli.results import Result, part
from gradcli.show import bulk, numbers
from gradcli.show.table import Cell, Cells, Places, Table, take


def render(result: Result) -> bytes:
    """The table marked for CSV: a header line, then its rows, each ended by a line feed."""
    buffer = io.BytesIO()
    write(result, buffer)
    return buffer.getvalue()


def write(result: Result, file: BinaryIO) -> None:
    """Write what `render` returns to a file, in pieces."""
    tables = part(result, "show").tables(result, 6)
    table = next(table for table in tables if isinstance(table, Table) and table.csv)
    kept = [i for i, column in enumerate(table.columns) if column.csv_name]
    file.write(",".join(_quote(table.columns[i].csv_name) for i in kept).encode() + b"\n")
    size = max(1, bulk.PIECE // max(1, len(kept)))
    for block in table.blocks:
        writers = _writers([block.cells[i] for i in kept])
        for start in range(0, block.rows, size):
            rows = range(start, min(start + size, block.rows))
            lines = map(b",".join, zip(*(writer(rows) for writer in writers), strict=True))
            file.write(b"\n".join(lines) + b"\n")


def _writers(columns: Sequence[Cells]) -> list[bulk.Lines]:
    """Functions that write columns; neighbours of one dtype are written together."""
    writers: list[bulk.Lines] = []
    for _, group in groupby(columns, lambda cells: getattr(cells, "dtype", None)):
        neighbours = list(group)
        tensors = [cells for cells in neighbours if isinstance(cells, Tensor)]
        texts = [partial(_texts, cells) for cells in neighbours]
        writers += [bulk.lines(tensors)] if tensors else texts
    return writers


def _texts(cells: Cells, rows: range) -> Sequence[bytes]:
    """One column's cells as text."""
    if isinstance(cells, str):
        return [_quote(cells).encode()] * len(rows)
    if isinstance(cells, Places):  # all of them need quotes, or none
        quote = '"' if "," in cells[rows.start] else ""
        return (
            "\n".join([f"{quote}{cell}{quote}" for cell in take(cells, rows)]).encode().split(b"\n")
        )
    return [_text(cell).encode() for cell in take(cells, rows)]


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    return _quote(cell) if isinstance(cell, str) else numbers.exact(cell)


def _quote(text: str) -> str:
    """RFC 4180: a text with a comma, quote or line end is quoted, its own quotes are doubled."""
    return '"' + text.replace('"', '""') + '"' if any(char in text for char in ',"\r\n') else text
