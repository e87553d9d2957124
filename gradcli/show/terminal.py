"""Tables with the lines and styles of rich: natural width in a pipe, pieces below each other in a narrow terminal.

No number is ever cut or wrapped: columns that do not fit side by side go below, and a list that does
not fit by itself is broken between its numbers.
"""

import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product, repeat, zip_longest
from typing import Literal

from gradcli.page import Page, frame
from gradcli.show import brackets
from gradcli.show.cells import Drawn, text_table
from gradcli.show.document import TextColumn, Texts, TextTable, groups, lined, padded, text_width
from gradcli.show.pictures import panels
from gradcli.show.pictures.plotter import Window
from gradcli.show.table import Bracketed, LineChart, Table, on_screen


@dataclass(frozen=True)
class Style:
    """How tables are drawn; `width` is the terminal's (None: no bound), `full` means no summary."""

    width: int | None
    colour: bool
    ascii_only: bool
    digits: int = 6
    full: bool = False


def render(tables: Sequence[Drawn], style: Style) -> str:
    """The tables and curves for the screen, separated by blank lines, ended by a line feed."""
    page = Page(colour=style.colour)
    for number, table in enumerate(on_screen(tables, full=style.full)):
        if number:
            page.line()
        if isinstance(table, Bracketed):
            if not brackets.draw(table, page, style.width, ascii_only=style.ascii_only):
                _draw(page, table.table, style)
        elif isinstance(table, LineChart):
            width = style.width or Window.width
            page.write(
                panels.small(table, Window(width, Window.height, style.colour, style.ascii_only))
            )
        else:
            _draw(page, table, style)
    return page.text


def _draw(page: Page, drawn: Table, style: Style) -> None:
    table = text_table(drawn, style.digits, full=style.full)
    if table.narrow is not None and not GRID.holds(table.columns, style.width):
        table = table.narrow
    if table.title:
        page.line(_wrap(table.title, style), "bold")
    for piece, layout in _pieces(table, style) if table.columns else ():
        _draw_piece(page, piece, layout, ascii_only=style.ascii_only, ruled=table.ruled)
    if table.caption:
        page.lines((_wrap(line, style) for line in table.caption.split("\n")), "dim")


def _wrap(text: str, style: Style) -> str:
    """`text` broken at blanks only, so that no number is broken."""
    if style.width is None:
        return text
    glued = _SHAPE.sub(lambda shape: shape[0].replace(" ", _GLUE), text)
    return "\n".join(prose(glued, style.width)).replace(_GLUE, " ")


_SHAPE = re.compile(r" \[\d*(?:, \d+)*\](?=  |;|$)")
"""A shape in a list of shapes, which stays on the line of its name."""
_GLUE = "\0"


def prose(text: str, width: int) -> list[str]:
    """A text in lines of at most `width` columns, broken at blanks alone."""
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


@dataclass(frozen=True)
class _Layout:
    """How columns stand side by side: the lines around them, the bound on a heading's width, and
    the blanks between columns without lines.
    """

    lines: Literal["grid", "rules", "none"]
    heading: int | None = None
    blanks: int = 2

    def taken(self, columns: Sequence[TextColumn], *, broken: bool = False) -> int:
        """The width of the columns with the blanks and lines around them, their cells perhaps broken
        at every blank.
        """
        none = (self.blanks, -self.blanks)
        between, edges = {"grid": (3, 1), "rules": (2, 0), "none": none}[self.lines]
        widths = (self.least(each) if broken else each.within(self.heading) for each in columns)
        return sum(width + between for width in widths) + edges

    def least(self, column: TextColumn) -> int:
        """The width of a column if its cells are broken at every blank."""
        return min(column.least, column.within(self.heading))

    def holds(
        self, columns: Sequence[TextColumn], width: int | None, *, broken: bool = False
    ) -> bool:
        """Whether the columns fit into `width` (None: always)."""
        return width is None or self.taken(columns, broken=broken) <= width


GRID = _Layout("grid")
RULES = _Layout("rules")
NARROW = (
    _Layout("grid", heading=6),
    _Layout("none", heading=6),
    _Layout("none", heading=6, blanks=1),
)
"""For a very narrow terminal: headings are broken, then lines are left out."""


def _pieces(table: TextTable, style: Style) -> list[tuple[list[TextColumn], _Layout]]:
    """The pieces of a table, drawn below each other: all its columns if they fit, else groups."""
    columns = table.columns
    for layout in (GRID, RULES):
        if layout.holds(columns, style.width):
            return [(columns, layout)]
    assert style.width is not None
    texts = [i for i, column in enumerate(columns) if not column.numeric]
    if folded := _folded(columns, texts, RULES, style.width):
        return [(folded, RULES)]
    stop = len(columns) - table.ends
    layouts = ((GRID, table.keys), (GRID, 1), *((narrow, 1) for narrow in NARROW))
    for broken, (layout, keys) in product((False, True), layouts):
        around = [*columns[:keys], *columns[stop:]]
        alone = ([*around, column] for column in columns[keys:stop])
        if all(layout.holds(piece, style.width, broken=broken) for piece in alone):
            break
    pieces = groups(columns, keys, table.ends, lambda piece: layout.holds(piece, style.width))
    folds = (_folded(piece, range(len(piece)), layout, style.width) or piece for piece in pieces)
    return [(piece, layout) for piece in folds]


def _folded(
    columns: list[TextColumn], breakable: Iterable[int], layout: _Layout, width: int
) -> list[TextColumn] | None:
    """The columns with cells broken at blanks so that all fit side by side; None if that is not
    enough.
    """
    widths = {i: columns[i].within(layout.heading) for i in breakable}
    least = {i: layout.least(columns[i]) for i in widths}
    excess = layout.taken(columns) - width
    if excess > sum(widths[i] - least[i] for i in widths):
        return None
    for _ in range(excess):
        widths[max((i for i in widths if widths[i] > least[i]), key=lambda i: widths[i])] -= 1
    blocks = [_broken(cells, widths) for cells in zip(*(c.blocks for c in columns), strict=True)]
    return [
        replace(c, blocks=[Texts([block[i]]) for block in blocks]) for i, c in enumerate(columns)
    ]


def _broken(cells: Sequence[Texts], widths: Mapping[int, int]) -> list[list[str]]:
    """One block's columns as lines: cells are broken to `widths`, a row is as high as its highest
    cell.
    """
    lines: list[list[str]] = [[] for _ in cells]
    for row in zip(*cells, strict=True):
        broken = [_cell_lines(cell, widths.get(i)) for i, cell in enumerate(row)]
        height = max(map(len, broken))
        for column, pieces in zip(lines, broken, strict=True):
            column += [*pieces, *[""] * (height - len(pieces))]
    return lines


def _cell_lines(cell: str, width: int | None) -> list[str]:
    """A cell as lines of one length; a list of numbers is broken between these."""
    if width is None or text_width(cell) <= width:
        return [cell]
    lines = prose(cell.strip(), width)
    longest = max(map(text_width, lines), default=0)
    return [line + " " * (longest - text_width(line)) for line in lines]


def _draw_piece(
    page: Page, columns: list[TextColumn], layout: _Layout, *, ascii_only: bool, ruled: bool
) -> None:
    """A table as rich would draw it, with rich's lines and styles. Rich itself measures every cell
    and takes ten times as long.
    """
    grid, rules = layout.lines == "grid", layout.lines == "rules"
    box = frame(ascii_only=ascii_only, rules=rules) if grid or rules else None
    before, after = (" ", " ") if grid else ("", " " if rules else " " * layout.blanks)
    afters = [*repeat(after, len(columns) - 1), after if grid else ""]
    widths = [column.within(layout.heading) for column in columns]
    headings = [*map(_heading, columns, widths)]
    cells = [max(map(text_width, pieces)) for pieces in headings]
    whole = [len(before) + width + len(pad) for width, pad in zip(cells, afters, strict=True)]

    def edged(parts: Iterable[str], edges: Iterable[str]) -> str:
        left, between, right = (page.styled(edge, "dim") for edge in edges)
        return f"{left}{between.join(parts)}{right}"

    def head(text: str) -> str:
        return page.styled(text, "bold cyan")

    lines = [page.styled(box.get_top(whole), "dim")] if box else []
    edges = (box.head_left, box.head_vertical, box.head_right) if box else ("", "", "")
    upwards = zip_longest(*map(reversed, headings), fillvalue="")
    for pieces in reversed([*upwards]):
        parts = []
        for piece, width, pad, all_of_it in zip(pieces, cells, afters, whole, strict=True):
            text = piece + " " * (width - text_width(piece))
            parts.append(head(before) + head(text) + head(pad) if piece else head(" " * all_of_it))
        lines.append(edged(parts, edges))
    if box:
        lines.append(page.styled(box.get_row(whole, "head"), "dim"))
    edges = (box.mid_left, box.mid_vertical, box.mid_right) if box else ("", "", "")
    blanks = (whole - width for whole, width in zip(cells, widths, strict=True))
    slots = (f"{before}%s{' ' * blank}{pad}" for blank, pad in zip(blanks, afters, strict=True))
    template = edged(slots, edges)
    page.write("\n".join(lines) + "\n")
    for number, line in enumerate(lined(columns[0].blocks, ruled=ruled)):
        if box and line:
            page.write(page.styled(box.get_row(whole, "row"), "dim") + "\n")
        for rows in _rows(template, columns, widths, number):
            page.write(rows)
    if box:
        page.write(page.styled(box.get_bottom(whole), "dim") + "\n")


def _heading(column: TextColumn, width: int) -> list[str]:
    """The heading of a column in pieces of `width` characters, padded to that."""
    starts = range(0, len(column.heading) or 1, width)
    pieces = [column.heading[i : i + width] for i in starts]
    return [*padded(pieces, width, numeric=column.numeric)]


def _rows(template: str, columns: list[TextColumn], widths: list[int], block: int) -> Iterator[str]:
    """The rows of a block, PIECE of them at a time."""
    for pieces in zip(*(column.blocks[block].pieces for column in columns), strict=True):
        cells = [
            padded(piece, width, numeric=column.numeric)
            for column, piece, width in zip(columns, pieces, widths, strict=True)
        ]
        yield "\n".join([template % row for row in zip(*cells, strict=True)]) + "\n"
