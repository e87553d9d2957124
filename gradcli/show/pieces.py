"""What the pages of several commands share: tables of one block, inputs with gradients, a matrix,
and captions.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, TypeAlias

import torch
from torch import Tensor

from gradcli.results import Result
from gradcli.show import numbers
from gradcli.show.table import Block, Cells, Column, Places, Sparse, Table

FilledColumn: TypeAlias = tuple[str | Column, Cells]
"""A column, or its heading alone, and its cells."""


def table_of(
    count: int, columns: Iterable[FilledColumn], title: str = "", caption: str = "", **layout: Any
) -> Table:
    """A table of one block of `count` rows; `layout` holds further fields of Table."""
    columns = list(columns)
    heads = [Column(head) if isinstance(head, str) else head for head, _ in columns]
    block = Block(count, tuple(cells for _, cells in columns))
    return Table(tuple(heads), (block,), title, caption, **layout)


def by_element(name: str, rows: Sequence[Tensor]) -> Iterator[tuple[str, Tensor]]:
    """A name and a column, [rows], for each element of one or more tensors of the same shape."""
    stacked = torch.stack(list(rows)).reshape(len(rows), -1)
    return zip(Places(rows[0].shape, name), stacked.unbind(1), strict=True)


def shapes_text(result: Result, more: Mapping[str, Tensor] = MappingProxyType({})) -> str:
    """The dtype and the shapes of the inputs and of `more`, as a caption; modules as a whole."""
    tensors = {**single(result.inputs), **more}.items()
    shapes = "  ".join(f"{name} {numbers.shape_text(tensor)}" for name, tensor in tensors)
    return "; ".join([f"{result.dtype}, shapes: {shapes}", *result.modules])


def single(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The inputs, any shape, that are not parameters of a module."""
    return {name: tensor for name, tensor in inputs.items() if "." not in name}


def one_number(tensor: Tensor, digits: int) -> str:
    """A tensor of one element and any shape as text, in `digits` significant digits."""
    return numbers.significant(numbers.flat(tensor)[0], digits)


def beside(values: Tensor, shape: Sequence[int], *, by_sample: bool = False) -> Cells:
    """`values`, of a shape that broadcasts to `shape`, as a column beside the elements of `shape`:
    each in the row of its first place. With `by_sample` they have no dimension of classes, and each
    is in the row of its sample's first class.
    """
    if values.shape == tuple(shape):
        return values.reshape(-1)
    if by_sample and values.ndim:
        values = values.unsqueeze(min(1, len(shape) - 1))
    first = torch.zeros(tuple(shape), dtype=torch.bool)
    missing = len(shape) - values.ndim
    first[(*[slice(1)] * missing, *map(slice, values.shape))] = True
    rows = first.reshape(-1).nonzero().reshape(-1).tolist()
    return Sparse(dict(zip(rows, numbers.flat(values), strict=False)), first.numel())


def inputs_table(
    inputs: Mapping[str, Tensor], gradients: Mapping[str, Tensor | None] | None, defaults: list[str],
    title: str, caption: str, more: Mapping[str, Mapping[str, Tensor]] = MappingProxyType({}),
) -> Table:  # fmt: skip
    """One row per element of each input, any shape, with its gradient, which has the same shape; no
    column for that if `gradients` is None. `more` has further columns by their headings, before it.
    """
    further: dict[str, Mapping[str, Tensor | None]] = {**more}
    if gradients is not None:
        further["gradient"] = gradients
    columns = [
        Column("input", ""), Column("", "name"), Column("", "index"), Column("value", "input"),
        *map(Column, further),
    ]  # fmt: skip
    if defaults:
        columns.append(Column(" ", ""))
    blocks = []
    for name, value in inputs.items():
        cells: list[Cells] = [Places(value.shape, name), name, Places(value.shape)]
        cells.append(value.reshape(-1))
        for tensors in further.values():
            tensor = tensors.get(name)
            cells.append("" if tensor is None else tensor.reshape(-1))
        if defaults:
            cells.append("default" if name in defaults else "")
        blocks.append(Block(value.numel(), tuple(cells)))
    return Table(tuple(columns), tuple(blocks), title, caption, ruled=True)


def without_csv(table: Table, first_heading: str) -> Table:
    """A copy of the table for the screen only, its first column under another heading."""
    return replace(table, columns=(Column(first_heading), *table.columns[1:]), csv=False)


def matrix_table(
    corner: str | Column,
    rows: Sequence[str],
    columns: Sequence[str],
    matrix: Tensor,
    title: str,
    caption: str,
    *,
    csv: bool = True,
) -> Table:
    """A matrix, [rows, columns], with a name for each row and column and a heading for the rows."""
    cells = zip(columns, matrix.unbind(1), strict=True)
    return table_of(len(rows), [(corner, rows), *cells], title, caption, csv=csv)
