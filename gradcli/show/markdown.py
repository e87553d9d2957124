"""Markdown as GitHub reads it: pipe tables, numbers on the right, expressions as code."""

import re
from collections.abc import Collection, Iterator, Sequence

from gradcli.show.document import (
    Code,
    Formula,
    Heading,
    Listing,
    Part,
    Prose,
    Span,
    TextColumn,
    TextTable,
    padded,
    spans,
    text_width,
    titled,
)

_SPECIAL = re.compile(r"[\\`*<~$|]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)")
_BLOCK = re.compile(r"[-+=#>]|\d+(?=[.)])")
"""What makes a list, a heading or a quotation at the beginning of a paragraph."""
_LINK = re.compile(r"\][(:\[]|\[\^")
"""What makes a link of the brackets before it."""
_BACKTICKS = re.compile("`+")


def write(parts: Sequence[Part], names: Collection[str]) -> str:
    """The parts as Markdown, ended by a line feed; `names` are those of the tensors."""
    return "\n".join("\n".join(_lines(part, names)) + "\n" for part in parts)


def _lines(part: Part, names: Collection[str]) -> Iterator[str]:
    match part:
        case Heading():
            yield _bold(part.text, part.formula)
        case Prose():
            yield _paragraph(part.text)
        case Code():
            yield from _fenced(part.text, part.language)
        case Formula():
            # GitHub refuses \operatorname: https://github.com/github/markup/issues/1688
            yield from _fenced(part.latex.replace(r"\operatorname", r"\mathrm"), "math")
        case Listing():
            yield from (f"- {code(name)}: {escaped(text)}" for name, text in part.rows)
        case TextTable():
            yield from _table(part, names)


def _table(table: TextTable, names: Collection[str]) -> Iterator[str]:
    if table.title:
        yield from (_bold(table.title, table.formula), "")
    if table.columns:
        yield from _pipes(table.columns, names)
    for number, remark in enumerate(table.remarks):
        if number or table.columns:
            yield ""
        yield from _lines(remark, names)


def _pipes(columns: Sequence[TextColumn], names: Collection[str]) -> Iterator[str]:
    """The lines of a table, as wide as its widest cells."""
    written = []
    for column in columns:
        cells = [_mixed(cell, names) if column.code else escaped(cell) for cell in column.cells]
        cells.insert(0, _mixed(column.heading, ()))
        width = max(3, *map(text_width, cells))
        rule = "-" * (width - column.numeric) + ":" * column.numeric
        head, *rest = padded(cells, width, numeric=column.numeric)
        written.append([head, rule, *rest])
    yield from (f"| {' | '.join(line)} |" for line in zip(*written, strict=True))


def _mixed(text: str, names: Collection[str]) -> str:
    """The text of a cell that may be an expression, or hold some."""
    return "".join(_span(span, cell=True) for span in spans(text, names))


def _span(span: Span, *, cell: bool = False) -> str:
    return code(span.text, cell=cell) if span.code else escaped(span.text)


def _bold(title: str, formula: str) -> str:
    return f"**{''.join(map(_span, titled(title, formula)))}**"


def escaped(text: str) -> str:
    """Plain text that stands in a paragraph or a cell."""
    text = _SPECIAL.sub(_escaped, text)
    return text.replace("[", r"\[") if _LINK.search(text) else text


def _escaped(found: re.Match[str]) -> str:
    return "&#92;" if found[0] == "\\" else f"\\{found[0]}"  # a table reads \\| as a bar


def _paragraph(text: str) -> str:
    text = escaped(text)
    start = _BLOCK.match(text)
    if start is None:
        return text
    return f"\\{text}" if not start[0].isdigit() else f"{start[0]}\\{text[start.end() :]}"


def code(text: str, *, cell: bool = False) -> str:
    """A code span. In a cell of a table its bars are escaped, and one with a bar after a backslash,
    which it cannot hold, is plain text.
    """
    text = " ".join(text.split("\n"))
    if cell and "\\|" in text:
        return escaped(text)
    fence = _fence(text, 1)
    edge = " " if "`" in (text[:1], text[-1:]) else ""
    span = f"{fence}{edge}{text}{edge}{fence}"
    return span.replace("|", r"\|") if cell else span


def _fence(text: str, least: int) -> str:
    """More backticks than stand together anywhere in a text."""
    return "`" * max([least, *(len(run) + 1 for run in _BACKTICKS.findall(text))])


def _fenced(text: str, language: str) -> Iterator[str]:
    fence = _fence(text, 3)
    yield from (f"{fence}{language}", text.rstrip("\n"), fence)
