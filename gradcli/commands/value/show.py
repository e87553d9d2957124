"""The tables of `value`: the value, its named steps, and the shapes of its parts."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from torch import Tensor

from gradcli.commands.value.result import Part, ValueResult
from gradcli.errors import quoted
from gradcli.language.expressions.precedence import one_line
from gradcli.language.source import columns, on_screen
from gradcli.show.pieces import FilledColumn, matrix_table, one_number, shapes_text, table_of
from gradcli.show.table import Block, Bracketed, Column, Mark, Places, Table

ACROSS = 1000
"""The elements of a last dimension that is drawn from left to right, at most."""
SHORT = 50
"""Characters of an expression in a table of shapes, at most."""
ROWS = 60
"""Rows of that table on the screen, at most."""


def tables(result: ValueResult, digits: int) -> list[Table | Bracketed]:
    """The value; the steps, if there are others; the shapes of the parts, if they are wanted."""
    steps = {name: step for name, step in result.intermediates.items() if name != result.output}
    found: list[Table | Bracketed] = [_value(result, digits)]
    if steps:
        found.append(_elements("step", steps, "Steps"))
    if result.shapes:
        found.append(_shapes(result.shapes))
    return [*found, _csv({**result.intermediates, "value": result.value})]


def _value(result: ValueResult, digits: int) -> Table:
    """One number in the title, a vector from top to bottom, all else with its rows from left to
    right.
    """
    value, name, title = result.value, result.output, result.expression
    caption = shapes_text(result, {name: value})
    if value.numel() == 1:
        return Table((), (), f"{title} = {one_number(value, digits)}", caption, csv=False)
    if value.ndim < 2 or value.shape[-1] > ACROSS:
        return _elements(name, {name: value}, title, caption)
    rows = Places(value.shape[:-1], name)
    matrix = value.reshape(len(rows), value.shape[-1])
    columns = [f"[{i}]" for i in range(value.shape[-1])]
    return matrix_table(name, rows, columns, matrix, title, caption, csv=False)


def _elements(heading: str, tensors: Mapping[str, Tensor], title: str, caption: str = "") -> Table:
    """A row for each element of each tensor, of any shape."""
    blocks = [
        Block(tensor.numel(), (Places(tensor.shape, name), tensor.reshape(-1)))
        for name, tensor in tensors.items()
    ]
    columns = Column(heading), Column("value")
    return Table(columns, tuple(blocks), title, caption, csv=False)


def _shapes(parts: Sequence[Part]) -> Bracketed:
    """Each statement with brackets below its parts; as a table a row for each part."""
    texts = [
        (_shown(statement.text), map(_mark, [*inside]))  # made one by one: there may be thousands
        for statement, inside in groupby(parts, lambda part: part.statement)
    ]
    rows: list[FilledColumn] = [
        (Column("expression", code=True), [quoted(part.expression, SHORT) for part in parts]),
        ("shape", [str(part.shape) for part in parts]),
    ]
    return Bracketed(texts, table_of(len(parts), rows, "Shapes", csv=False, rows=ROWS))


def _mark(part: Part) -> Mark:
    """The shape of a part below the columns that it takes in the text of its statement."""
    first, text = part.statement.start, part.statement.text
    before, until = text[: part.place.start - first], text[: part.place.stop - first]
    return Mark(columns(_shown(before)), columns(_shown(until)), str(part.shape))


def _csv(tensors: Mapping[str, Tensor]) -> Table:
    """The same numbers, a row each, for CSV alone."""
    blocks = [
        Block(tensor.numel(), (name, Places(tensor.shape), tensor.reshape(-1)))
        for name, tensor in tensors.items()
    ]
    return Table(tuple(map(Column, ("name", "index", "value"))), tuple(blocks), screen=False)


def _shown(text: str) -> str:
    return on_screen(one_line(text))
