"""The tables of `grad`: inputs with their gradients, steps, the result; or a row for each point."""

from dataclasses import replace

import torch
from torch import Tensor

from gradcli.commands.grad.result import GradEachResult, GradResult
from gradcli.show import numbers
from gradcli.show.pieces import (
    FilledColumn,
    by_element,
    inputs_table,
    one_number,
    shapes_text,
    table_of,
    without_csv,
)
from gradcli.show.table import Block, Cell, Column, Places, Table

SMALL = 8
"""Elements of a sample that the screen shows, at most."""


def tables(result: GradResult | GradEachResult, digits: int) -> list[Table]:
    """The tables of one gradient, or of those at many points."""
    return _points(result) if isinstance(result, GradEachResult) else _whole(result, digits)


def _whole(result: GradResult, digits: int) -> list[Table]:
    value, title = result.value, result.expression
    single = value.numel() == 1
    if single:
        title += f" = {one_number(value, digits)}"
    caption = shapes_text(result, {"result": value})
    tangents = {"tangent": result.directions} if result.directions else {}
    table = inputs_table(result.inputs, result.gradients, result.defaults, title, caption, tangents)
    shown = [table]
    if result.jvp is not None:
        shown = [replace(table, csv=False), _with_result(table, value, result.jvp)]
    if result.intermediates:
        named = result.intermediates.items()
        steps = {name: step.value for name, step in named}
        reverse = result.gradients is not None
        slopes = {name: step.gradient for name, step in named} if reverse else None
        if tangents:
            tangents = {"tangent": {n: t for n, step in named if (t := step.tangent) is not None}}
        shown.append(without_csv(inputs_table(steps, slopes, [], "Steps", "", tangents), "step"))
    if not single or result.upstream is not None or result.jvp is not None:
        places = Places(value.shape, "result")
        columns: list[FilledColumn] = [("result", places), ("value", value.reshape(-1))]
        if result.jvp is not None:
            columns.append(("jvp", result.jvp.reshape(-1)))
        if result.upstream is not None:
            columns.append(("upstream", result.upstream.reshape(-1)))
        title = f"Result; gradient of {result.seed}" if result.seed else "Result"
        shown.append(table_of(value.numel(), columns, title, csv=False))
    return shown


def _with_result(table: Table, value: Tensor, jvp: Tensor) -> Table:
    """The table for CSV: after the inputs the elements of the result, with the jvp as tangents."""
    cells = ("", "result", Places(value.shape), value.reshape(-1), jvp.reshape(-1))
    rest = [""] * (len(table.columns) - len(cells))
    block = Block(value.numel(), (*cells, *rest))
    return replace(table, blocks=(*table.blocks, block), screen=False)


def _points(result: GradEachResult) -> list[Table]:
    """A row for each sample, a column for each element of a sample and of a gradient. On the screen
    a large sample is named, and its numbers are in a table for CSV alone.
    """
    rows = result.rows
    samples: list[FilledColumn] = []
    shown: list[FilledColumn] = []
    for name in result.each:
        empty = [(name, torch.empty(0))]
        elements = [*by_element(name, [row[name] for row in rows])] if rows else empty
        samples += elements
        shown += elements if len(elements) <= SMALL else [(name, Places((len(rows),), name))]
    values: list[FilledColumn] = [("value", result.column("value"))]
    for name in rows[0]["gradients"] if rows else ():
        slopes = [row["gradients"][name] for row in rows]
        if any(slope is None for slope in slopes):
            values.append((_slope(name), list(map(_number, slopes))))
        else:
            values += [(_slope(place), cells) for place, cells in by_element(name, slopes)]
    whole = len(shown) == len(samples)
    table = table_of(
        len(rows), [*shown, *values], result.expression, shapes_text(result),
        keys=max(1, len(shown)), csv=whole,
    )  # fmt: skip
    return [table] if whole else [table, table_of(len(rows), [*samples, *values], screen=False)]


def _slope(name: str) -> Column:
    return Column(f"d/d{name}", f"d_{name}")


def _number(tensor: Tensor | None) -> Cell:
    return numbers.flat(tensor)[0] if tensor is not None and tensor.numel() == 1 else None
