"""Tables with the lines and styles of rich: natural width in a pipe, pieces below each other in a narrow terminal.

No number is ever cut or wrapped: columns that do not fit side by side go below.
"""

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain, repeat
from typing import Literal

from rich.cells import cell_len
from torch import Tensor

from gradcli.page import Page, frame
from gradcli.show import brackets, numbers
from gradcli.show.pictures import curve
from gradcli.show.pictures.plotter import Window
from gradcli.show.table import Block, Bracketed, Cells, LineChart, Table, chosen, take

THRESHOLD = 1000
EDGE = 3
"""As in PyTorch: a tensor of more elements than THRESHOLD is summarised by EDGE at each end."""
GAP = "..."
PIECE = 2**13
"""Rows that are turned into text at a time."""
_END = "\0"
"""The end of a cell among others, which no cell contains."""
_INTEGER = re.compile(r"(?=-?[0-9])[^.e]*")
"""The integer part of a number; other cells do not match."""


@dataclass(frozen=True)
class Style:
    """How tables are drawn; `width` is the terminal's (None: no bound), `full` means no summary."""

    width: int | None
    colour: bool
    ascii_only: bool
    digits: int = 6
    full: bool = False


class _Texts:
    """The cells of a column in one block as text, PIECE rows together: single ones would take six
    times the memory. A block without rows has one empty cell.
    """

    def __init__(self, pieces: Iterable[Sequence[str]]) -> None:
        self._joined = [_END.join(piece) for piece in pieces] or [""]

    @property
    def pieces(self) -> Iterator[list[str]]:
        """The cells of PIECE rows at a time."""
        return (joined.split(_END) for joined in self._joined)

    def __iter__(self) -> Iterator[str]:
        return chain.from_iterable(self.pieces)

    @property
    def several(self) -> bool:
        """Whether there is more than one row."""
        return len(self._joined) > 1 or _END in self._joined[0]

    @property
    def widest(self) -> int:
        """The width of the widest cell."""
        return max(
            max(map(len if joined.isascii() else cell_len, joined.split(_END)))
            for joined in self._joined
        )


@dataclass(frozen=True)
class _TextColumn:
    """A column as text: its heading, and the cells of each block, numbers aligned at the point."""

    heading: str
    blocks: list[_Texts]
    numeric: bool

    @property
    def least(self) -> int:
        """The width when texts are broken at blanks; the heading is not broken."""
        words = (_width(word) for block in self.blocks for cell in block for word in cell.split())
        return max(len(self.heading), *words, 1)

    @cached_property
    def widest(self) -> int:
        """The width of the widest cell."""
        return max((block.widest for block in self.blocks), default=0)

    def within(self, heading: int | None) -> int:
        """The width when the heading is broken into pieces of `heading` characters (None: not)."""
        return max(1, self.widest, len(self.heading[:heading]))


def render(tables: Sequence[Table | LineChart | Bracketed], style: Style) -> str:
    """The tables and curves for the screen, separated by blank lines, ended by a line feed."""
    page = Page(colour=style.colour)
    shown = [table for table in tables if table.screen and (style.full or not table.more)]
    for number, table in enumerate(shown):
        if number:
            page.line()
        if isinstance(table, Bracketed):
            if not brackets.draw(table, page, style.width, ascii_only=style.ascii_only):
                _draw(page, table.table, style)
        elif isinstance(table, LineChart):
            width = min(style.width or curve.COLUMNS, curve.COLUMNS)
            window = Window(width, curve.ROWS, style.colour, style.ascii_only)
            page.write(curve.draw(table, window) + "\n")
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
    for piece, layout in _pieces(columns, table, style) if columns else ():
        _draw_piece(page, piece, layout, ascii_only=style.ascii_only, ruled=table.ruled)
    if table.caption:
        page.lines((_wrap(line, style) for line in table.caption.split("\n")), "dim")


def _wrap(text: str, style: Style) -> str:
    """`text` broken at blanks only, so that no number is broken."""
    if style.width is None:
        return text
    glued = _SHAPE.sub(lambda shape: shape[0].replace(" ", _GLUE), text)
    return "\n".join(_lines(glued, style.width)).replace(_GLUE, " ")


_SHAPE = re.compile(r" \[\d*(?:, \d+)*\](?=  |;|$)")
"""A shape in a list of shapes, which stays on the line of its name."""
_GLUE = "\0"


def _lines(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _columns(table: Table, style: Style) -> list[_TextColumn]:
    """The columns as text, large tables summarised as PyTorch does."""
    summarise = not style.full and table.elements > THRESHOLD
    shown = [i for i, column in enumerate(table.columns) if column.heading]
    data = shown[table.keys :]
    if not summarise or len(data) <= 2 * EDGE:
        return [_column(table, i, summarise, style) for i in shown]
    kept = [*shown[: table.keys], *data[:EDGE], *data[-EDGE:]]
    columns = [_column(table, i, summarise, style) for i in kept]
    sizes = [2 * EDGE + 1 if _is_cut(block, summarise) else block.rows for block in table.blocks]
    gaps = [_Texts([[GAP] * size]) for size in sizes]
    columns.insert(-EDGE, _TextColumn(GAP, gaps, numeric=True))
    return columns


def _column(table: Table, position: int, summarise: bool, style: Style) -> _TextColumn:
    numeric = any(_is_numeric(block.cells[position]) for block in table.blocks)
    cells = [_cells(block, position, summarise, style) for block in table.blocks]
    heading = table.columns[position].heading.strip()
    return _TextColumn(heading, _align(cells) if numeric else cells, numeric)


def _is_numeric(cells: Cells) -> bool:
    return isinstance(cells, Tensor) or (
        isinstance(cells, list) and any(isinstance(cell, int | float) for cell in cells)
    )


def _is_cut(block: Block, summarise: bool) -> bool:
    return summarise and block.rows > 2 * EDGE


def _cells(block: Block, position: int, summarise: bool, style: Style) -> _Texts:
    """One column's cells in one block; a summary has three dots instead of the middle rows."""
    cells, count = block.cells[position], block.rows
    if not _is_cut(block, summarise):
        starts = range(0, count, PIECE)
        return _Texts(_text(cells, range(i, min(i + PIECE, count)), style) for i in starts)
    head, tail = (_text(cells, rows, style) for rows in (range(EDGE), range(count - EDGE, count)))
    return _Texts([[*head, GAP, *tail]])


def _text(cells: Cells, rows: range, style: Style) -> list[str]:
    if isinstance(cells, Tensor):
        return numbers.texts(cells[rows.start : rows.stop], style.digits)
    return [
        cell if isinstance(cell, str) else "" if cell is None else numbers.significant(cell, style.digits)
        for cell in take(cells, rows)
    ]  # fmt: skip


def _align(blocks: list[_Texts]) -> list[_Texts]:
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

    return [_Texts(map(padded, block.pieces)) for block in blocks]


def _sizes(cells: list[str]) -> Iterator[tuple[int, int]]:
    """The length of each number's integer part, -1 for other cells, and of the whole cell."""
    points = [number.end() if number else -1 for number in map(_INTEGER.match, cells)]
    return zip(points, map(len, cells), strict=True)


@dataclass(frozen=True)
class _Layout:
    """How columns stand side by side: the lines around them, the bound on a heading's width, and
    the blanks between columns without lines.
    """

    lines: Literal["grid", "rules", "none"]
    heading: int | None = None
    blanks: int = 2

    def taken(self, columns: Sequence[_TextColumn]) -> int:
        """The width of the columns with the blanks and lines around them."""
        none = (self.blanks, -self.blanks)
        between, edges = {"grid": (3, 1), "rules": (2, 0), "none": none}[self.lines]
        return sum(column.within(self.heading) + between for column in columns) + edges

    def holds(self, columns: Sequence[_TextColumn], width: int | None) -> bool:
        """Whether the columns fit into `width` (None: always)."""
        return width is None or self.taken(columns) <= width


GRID = _Layout("grid")
RULES = _Layout("rules")
NARROW = (
    _Layout("grid", heading=6),
    _Layout("none", heading=6),
    _Layout("none", heading=6, blanks=1),
)
"""For a very narrow terminal: headings are broken, then lines are left out."""


def _pieces(
    columns: list[_TextColumn], table: Table, style: Style
) -> list[tuple[list[_TextColumn], _Layout]]:
    """The pieces of a table, drawn below each other: all its columns if they fit, else groups."""
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
    groups: list[list[_TextColumn]] = [[]]
    for column in columns[keys:stop]:
        if groups[-1] and not layout.holds([*around, *groups[-1], column], style.width):
            groups.append([])
        groups[-1].append(column)
    return [([*columns[:keys], *group, *columns[stop:]], layout) for group in groups]


def _folded(columns: list[_TextColumn], width: int) -> list[_TextColumn] | None:
    """The columns with texts broken so that all fit side by side; None if that is not enough."""
    texts = {i: column.within(None) for i, column in enumerate(columns) if not column.numeric}
    least = {i: columns[i].least for i in texts}
    excess = RULES.taken(columns) - width
    if excess > sum(texts[i] - least[i] for i in texts):
        return None
    for _ in range(excess):
        texts[max((i for i in texts if texts[i] > least[i]), key=lambda i: texts[i])] -= 1
    blocks = [_broken(cells, texts) for cells in zip(*(c.blocks for c in columns), strict=True)]
    return [
        replace(c, blocks=[_Texts([block[i]]) for block in blocks]) for i, c in enumerate(columns)
    ]


def _broken(cells: Sequence[_Texts], widths: Mapping[int, int]) -> list[list[str]]:
    """One block's columns as lines: texts are broken to `widths`, a row is as high as its highest
    cell.
    """
    lines: list[list[str]] = [[] for _ in cells]
    for row in zip(*cells, strict=True):
        broken = [_lines(cell, widths[i]) if i in widths else [cell] for i, cell in enumerate(row)]
        height = max(map(len, broken))
        for column, pieces in zip(lines, broken, strict=True):
            column += [*pieces, *[""] * (height - len(pieces))]
    return lines


def _draw_piece(
    page: Page, columns: list[_TextColumn], layout: _Layout, *, ascii_only: bool, ruled: bool
) -> None:
    """A table as rich would draw it, with rich's lines and styles. Rich itself measures every cell
    and takes ten times as long.
    """
    grid, rules = layout.lines == "grid", layout.lines == "rules"
    box = frame(ascii_only=ascii_only, rules=rules) if grid or rules else None
    before, after = (" ", " ") if grid else ("", " " if rules else " " * layout.blanks)
    afters = [*repeat(after, len(columns) - 1), after if grid else ""]
    widths = [column.within(layout.heading) for column in columns]
    headings, cells = [], []
    for column, width in zip(columns, widths, strict=True):
        starts = range(0, len(column.heading) or 1, width)
        pieces = [column.heading[i : i + width] for i in starts]
        if column.numeric:
            pieces = [piece.rjust(width) for piece in pieces]
        headings.append(pieces)
        cells.append(max(width, *map(_width, pieces)))
    whole = [len(before) + width + len(pad) for width, pad in zip(cells, afters, strict=True)]

    def edged(parts: Iterable[str], edges: Iterable[str]) -> str:
        left, between, right = (page.styled(edge, "dim") for edge in edges)
        return f"{left}{between.join(parts)}{right}"

    def head(text: str) -> str:
        return page.styled(text, "bold cyan")

    lines = [page.styled(box.get_top(whole), "dim")] if box else []
    height = max(map(len, headings))
    for i in range(height):
        parts = []
        for pieces, width, pad, all_of_it in zip(headings, cells, afters, whole, strict=True):
            at = i - height + len(pieces)
            text = pieces[at] + " " * (width - _width(pieces[at])) if at >= 0 else ""
            parts.append(head(before) + head(text) + head(pad) if text else head(" " * all_of_it))
        edges = (box.head_left, box.head_vertical, box.head_right) if box else ("", "", "")
        lines.append(edged(parts, edges))
    if box:
        lines.append(page.styled(box.get_row(whole, "head"), "dim"))
    edges = (box.mid_left, box.mid_vertical, box.mid_right) if box else ("", "", "")
    blanks = (whole - width for whole, width in zip(cells, widths, strict=True))
    slots = (f"{before}%s{' ' * blank}{pad}" for blank, pad in zip(blanks, afters, strict=True))
    template = edged(slots, edges)
    page.write("\n".join(lines) + "\n")
    blocks = columns[0].blocks
    for number, block in enumerate(blocks):
        if box and number and (blocks[number - 1].several or (ruled and block.several)):
            page.write(page.styled(box.get_row(whole, "row"), "dim") + "\n")
        for rows in _rows(template, columns, widths, number):
            page.write(rows)
    if box:
        page.write(page.styled(box.get_bottom(whole), "dim") + "\n")


def _rows(
    template: str, columns: list[_TextColumn], widths: list[int], block: int
) -> Iterator[str]:
    """The rows of a block, PIECE of them at a time."""
    for pieces in zip(*(column.blocks[block].pieces for column in columns), strict=True):
        cells = [
            _padded(piece, width, numeric=column.numeric)
            for column, piece, width in zip(columns, pieces, widths, strict=True)
        ]
        yield "\n".join([template % row for row in zip(*cells, strict=True)]) + "\n"


def _padded(cells: list[str], width: int, *, numeric: bool) -> Iterable[str]:
    """The cells, each padded to `width`: numbers stand on the right."""
    if all(map(str.isascii, cells)):
        return map(str.rjust if numeric else str.ljust, cells, repeat(width))
    blanks = (" " * (width - cell_len(cell)) for cell in cells)
    return [pad + cell if numeric else cell + pad for pad, cell in zip(blanks, cells, strict=True)]


def _width(text: str) -> int:
    """The width of a text in a terminal."""
    return len(text) if text.isascii() else cell_len(text)
