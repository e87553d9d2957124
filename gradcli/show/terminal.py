"""Tables drawn for people by rich: natural width in a pipe, further blocks below where a terminal
is too narrow.

No number is ever cut or wrapped: what does not fit beside goes below.
"""

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import repeat
from typing import Literal

from rich.cells import cell_len
from rich.table import Table as RichTable
from rich.text import Text
from torch import Tensor

from gradcli.page import Page, frame
from gradcli.show import numbers
from gradcli.show.pictures import curve
from gradcli.show.pictures.plotter import Window
from gradcli.show.table import Block, Cell, Cells, Column, LineChart, Table, chosen, take

THRESHOLD = 1000
EDGE = 3
"""PyTorch's own: a tensor of more elements than the threshold is summarised by this many at each
end."""
GAP = "..."
_MARK = "\ue000"
"""A character that nobody has given a meaning: it stands for a cell that is not filled yet."""
_MARKS = re.compile(f"{_MARK}+")
_INTEGER = re.compile(r"[^.e]*")


@dataclass(frozen=True)
class Style:
    """How tables are drawn: the width to keep to (None: as wide as need be), colour, ASCII, digits,
    no summaries.
    """

    width: int | None
    colour: bool
    ascii_only: bool
    digits: int = 6
    full: bool = False


@dataclass(frozen=True)
class _Drawn:
    """One column as text: heading and cells, one list of cells per block, numbers aligned at the
    decimal point.
    """

    heading: str
    blocks: list[list[str]]
    numeric: bool

    @property
    def longest_word(self) -> int:
        """The columns below which this one cannot be narrowed by breaking texts at blanks; the
        heading is not broken.
        """
        words = (_width(word) for block in self.blocks for cell in block for word in cell.split())
        return max(len(self.heading), *words, 1)

    @cached_property
    def widest(self) -> int:
        """The columns of the terminal that the widest cell takes."""
        return max((_width(cell) for block in self.blocks for cell in block), default=0)

    def within(self, heading: int | None) -> int:
        """The columns of the terminal that this one takes with its heading in pieces of `heading`
        at most, or whole.
        """
        return max(
            1,
            self.widest,
            len(self.heading) if heading is None else min(heading, len(self.heading)),
        )


def render(tables: Sequence[Table | LineChart], style: Style) -> str:
    """All tables and curves that are for the screen, a blank line between them, ended by a line
    feed.
    """
    page = Page(colour=style.colour)
    for number, table in enumerate(
        table for table in tables if table.screen and (style.full or not table.more)
    ):
        if number:
            page.line()
        if isinstance(table, LineChart):
            width = min(style.width or curve.COLUMNS, curve.COLUMNS)
            page.write(
                curve.draw(table, Window(width, curve.ROWS, style.colour, style.ascii_only)) + "\n"
            )
        else:
            _draw(page, table if style.full else chosen(table), style)
    return page.text


def _draw(page: Page, table: Table, style: Style) -> None:
    columns = _columns(table, style)
    if table.narrow is not None and not GRID.holds(columns, style.width):
        table = table.narrow
        columns = _columns(table, style)
    if table.title:
        page.line(_wrap(table.title, style), "bold")
    for piece, layout in _pieces(columns, table, style):
        page.write(_drawn(piece, layout, style))
    if table.caption:
        page.lines((_wrap(line, style) for line in table.caption.split("\n")), "dim")


def _wrap(text: str, style: Style) -> str:
    """`text` broken at blanks alone, so that no number is."""
    if style.width is None:
        return text
    lines = textwrap.wrap(text, style.width, break_long_words=False, break_on_hyphens=False)
    return "\n".join(lines)


def _columns(table: Table, style: Style) -> list[_Drawn]:
    """The columns as text, large tables summarised as PyTorch does."""
    summarise = not style.full and table.elements > THRESHOLD
    shown = [i for i, column in enumerate(table.columns) if column.heading]
    data = shown[table.keys :]
    if summarise and len(data) > 2 * EDGE:
        gap = -1
        shown = [*shown[: table.keys], *data[:EDGE], gap, *data[-EDGE:]]
    return [_column(table, i, summarise, style) for i in shown]


def _column(table: Table, position: int, summarise: bool, style: Style) -> _Drawn:
    if position < 0:
        return _Drawn(
            GAP,
            [[GAP] * (2 * EDGE + 1 if _cuts(b, summarise) else b.rows) for b in table.blocks],
            numeric=True,
        )
    column: Column = table.columns[position]
    numeric = any(_is_numeric(block.cells[position]) for block in table.blocks)
    cells = [_cells(block, position, summarise, style) for block in table.blocks]
    return _Drawn(column.heading.strip(), _align(cells) if numeric else cells, numeric)


def _is_numeric(cells: Cells) -> bool:
    return isinstance(cells, Tensor) or (
        isinstance(cells, list) and any(isinstance(cell, int | float) for cell in cells)
    )


def _cuts(block: Block, summarise: bool) -> bool:
    return summarise and block.rows > 2 * EDGE


def _cells(block: Block, position: int, summarise: bool, style: Style) -> list[str]:
    """One column's cells in one block, the middle rows replaced by three dots where it is
    summarised.
    """
    cells = block.cells[position]
    if not _cuts(block, summarise):
        return [_text(cell, style) for cell in take(cells, range(block.rows))]
    head, tail = take(cells, range(EDGE)), take(cells, range(block.rows - EDGE, block.rows))
    return [*(_text(cell, style) for cell in head), GAP, *(_text(cell, style) for cell in tail)]


def _text(cell: Cell, style: Style) -> str:
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else numbers.significant(cell, style.digits)


def _align(blocks: list[list[str]]) -> list[list[str]]:
    """Numbers padded on both sides so that their decimal points stand below each other; other cells
    to the right.
    """
    split = [[(cell, _is_number(cell), _point(cell)) for cell in block] for block in blocks]
    numbers = [(len(cell), point) for block in split for cell, number, point in block if number]
    left = max((point for _, point in numbers), default=0)
    right = max((size - point for size, point in numbers), default=0)
    return [
        [
            (" " * (left - point) + cell if number else cell.rjust(left + right)).ljust(
                left + right
            )
            for cell, number, point in block
        ]
        for block in split
    ]


def _is_number(cell: str) -> bool:
    return cell[:1].isdigit() or (cell[:1] == "-" and cell[1:2].isdigit())


def _point(cell: str) -> int:
    """Where the integer part of a number ends."""
    return len(_INTEGER.match(cell)[0])  # type: ignore[index]  # it always matches


@dataclass(frozen=True)
class _Layout:
    """How columns are set side by side: what is drawn around them, the blanks between them, how
    wide a heading may be.
    """

    lines: Literal["grid", "rules", "none"]
    heading: int | None = None
    blanks: int = 2

    def taken(self, columns: Sequence[_Drawn]) -> int:
        """The characters that columns take, the blanks and lines around them included."""
        between, edges = {"grid": (3, 1), "rules": (2, 0), "none": (self.blanks, -self.blanks)}[
            self.lines
        ]
        return sum(column.within(self.heading) + between for column in columns) + edges

    def holds(self, columns: Sequence[_Drawn], width: int | None) -> bool:
        """Whether the columns fit side by side into `width`; into None everything does."""
        return width is None or self.taken(columns) <= width


GRID = _Layout("grid")
RULES = _Layout("rules")
NARROW = (
    _Layout("grid", heading=6),
    _Layout("none", heading=6),
    _Layout("none", heading=6, blanks=1),
)
"""What is left in a very narrow window: headings are broken, then lines left out."""


def _pieces(
    columns: list[_Drawn], table: Table, style: Style
) -> list[tuple[list[_Drawn], _Layout]]:
    """What is drawn of a table, one below the other: all its columns where they fit, else some at a
    time.
    """
    for layout in (GRID, RULES):
        if layout.holds(columns, style.width):
            return [(columns, layout)]
    assert style.width is not None
    if folded := _folded(columns, style.width):
        return [(folded, RULES)]
    stop = len(columns) - table.ends
    for layout, keys in ((GRID, table.keys), (GRID, 1), *((narrow, 1) for narrow in NARROW)):
        around = [*columns[:keys], *columns[stop:]]
        if all(layout.holds([*around, column], style.width) for column in columns[keys:stop]):
            break
    groups: list[list[_Drawn]] = [[]]
    for column in columns[keys:stop]:
        if groups[-1] and not layout.holds([*around, *groups[-1], column], style.width):
            groups.append([])
        groups[-1].append(column)
    return [([*columns[:keys], *group, *columns[stop:]], layout) for group in groups]


def _folded(columns: list[_Drawn], width: int) -> list[_Drawn] | None:
    """The columns with texts broken at blanks so that all fit side by side; None where even that is
    not enough.
    """
    texts = {i: column.within(None) for i, column in enumerate(columns) if not column.numeric}
    least = {i: columns[i].longest_word for i in texts}
    excess = RULES.taken(columns) - width
    if excess > sum(texts[i] - least[i] for i in texts):
        return None
    for _ in range(excess):
        texts[max((i for i in texts if texts[i] > least[i]), key=lambda i: texts[i])] -= 1
    blocks = [
        _broken([column.blocks[number] for column in columns], texts)
        for number in range(len(columns[0].blocks))
    ]
    return [
        replace(column, blocks=[block[i] for block in blocks]) for i, column in enumerate(columns)
    ]


def _broken(cells: Sequence[list[str]], widths: Mapping[int, int]) -> list[list[str]]:
    """The columns of one block as lines: texts of the columns in `widths` are broken, each row as
    high as its highest cell.
    """
    rows = [
        [
            textwrap.wrap(cell, widths[i], break_long_words=False, break_on_hyphens=False)
            if i in widths
            else [cell]
            for i, cell in enumerate(row)
        ]
        for row in zip(*cells, strict=True)
    ]
    return [
        [line for row in rows for line in [*row[i], *[""] * (max(map(len, row)) - len(row[i]))]]
        for i in range(len(cells))
    ]


def _drawn(columns: list[_Drawn], layout: _Layout, style: Style) -> str:
    """A table as text. Rich draws one line of each block, a mark in each cell, as a pattern for all
    of its rows: for as many rows of its own it takes a hundred times as long.
    """
    table = RichTable(
        box=None
        if layout.lines == "none"
        else frame(ascii_only=style.ascii_only, rules=layout.lines == "rules"),
        border_style="dim",
        header_style="bold cyan",
        padding=(0, 1)
        if layout.lines == "grid"
        else (0, 1 if layout.lines == "rules" else layout.blanks, 0, 0),
        pad_edge=layout.lines == "grid",
    )
    widths = [column.within(layout.heading) for column in columns]
    for column, width in zip(columns, widths, strict=True):
        pieces = [column.heading[i : i + width] for i in range(0, len(column.heading), width)] or [
            ""
        ]
        heading = "\n".join(piece.rjust(width) if column.numeric else piece for piece in pieces)
        table.add_column(Text(heading), no_wrap=True)
    blocks = range(len(columns[0].blocks))
    for block in blocks:
        more = len(columns[0].blocks[block]) > 1 and block + 1 < len(blocks)
        table.add_row(*(Text(_MARK * width) for width in widths), end_section=more)
    pattern = Page(colour=style.colour)
    pattern.draw(table)
    rows = iter(blocks)
    lines: list[str] = []
    for line in pattern.text.splitlines():
        lines += _filled(line, columns, widths, next(rows)) if _MARK in line else [line]
    return "\n".join(lines) + "\n"


def _filled(pattern: str, columns: list[_Drawn], widths: list[int], block: int) -> list[str]:
    """The lines of a block, by the pattern of one of them."""
    first, *others = _MARKS.split(pattern)
    parts: list[Iterable[str]] = []
    for column, width, behind in zip(columns, widths, others, strict=True):
        cells = column.blocks[block] or [""]  # of a tensor without elements one line is left
        parts.append(
            [" " * (width - _width(c)) + c for c in cells]
            if column.numeric
            else [c + " " * (width - _width(c)) for c in cells]
        )
        parts.append(repeat(behind))
    return [first + "".join(row) for row in zip(*parts, strict=False)]


def _width(text: str) -> int:
    """The columns of a terminal that a text takes."""
    return len(text) if text.isascii() else cell_len(text)
