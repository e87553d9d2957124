"""`--csv`: the main table of a result with every number in shortest digits."""

from collections.abc import Sequence

import orjson

from gradcli.results import Result
from gradcli.show import numbers
from gradcli.show.table import Block, Cell, Table, take
from gradcli.show.tables import tables

_CHUNK = 100_000
"""Rows turned into text at a time, so that memory stays bounded."""


def render(result: Result) -> bytes:
    """The one table marked for CSV, a header line first, lines ended by a line feed."""
    table = next(table for table in tables(result, digits=6) if isinstance(table, Table) and table.csv)
    kept = [i for i, column in enumerate(table.columns) if column.csv_name]
    lines = [",".join(_quote(table.columns[i].csv_name) for i in kept).encode()]
    for block in table.blocks:
        for start in range(0, block.rows, _CHUNK):
            rows = range(start, min(start + _CHUNK, block.rows))
            texts = [_texts(block, i, rows) for i in kept]
            lines.extend(map(b",".join, zip(*texts, strict=True)))
    return b"\n".join(lines) + b"\n"


def _texts(block: Block, column: int, rows: range) -> Sequence[bytes]:
    """One column's cells as text."""
    cells = take(block.cells[column], rows)
    if all(type(cell) is float and cell - cell == 0 for cell in cells):
        return orjson.dumps(cells)[1:-1].split(b",") if cells else []
    return [_text(cell).encode() for cell in cells]


def _text(cell: Cell) -> str:
    if cell is None:
        return ""
    return _quote(cell) if isinstance(cell, str) else numbers.exact(cell)


def _quote(text: str) -> str:
    """RFC 4180: a text with a comma, a quote or a line end stands in quotes, its own quotes doubled."""
    return '"' + text.replace('"', '""') + '"' if any(char in text for char in ',"\r\n') else text
