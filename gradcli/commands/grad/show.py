"""The tables of `grad`: inputs with their gradients, steps, the result; or a row for each point."""

import torch
from torch import Tensor

from gradcli.commands.grad.result import GradEachResult, GradResult
from gradcli.show import numbers
from gradcli.show.pieces import inputs_table, one_number, shapes_text, without_csv
from gradcli.show.table import Block, Cell, Cells, Column, Places, Table


def tables(result: GradResult | GradEachResult, digits: int) -> list[Table]:
    """The tables of one gradient, or of those at many points."""
    return [_points(result)] if isinstance(result, GradEachResult) else _whole(result, digits)


def _whole(result: GradResult, digits: int) -> list[Table]:
    value = result.value
    single = value.numel() == 1
    title = f"{result.expression} = {one_number(value, digits)}" if single else result.expression
    found = [
        inputs_table(
            result.inputs,
            result.gradients,
            result.defaults,
            title,
            shapes_text(result, {"result": value}),
        )
    ]
    if result.intermediates:
        steps = {name: step.value for name, step in result.intermediates.items()}
        slopes = {name: step.gradient for name, step in result.intermediates.items()}
        found.append(without_csv(inputs_table(steps, slopes, [], "Steps", ""), "step"))
    if not single or result.upstream is not None:
        columns = [Column("result"), Column("value")]
        cells: list[Cells] = [Places(value.shape, "result"), value.reshape(-1)]
        if result.upstream is not None:
            columns.append(Column("upstream"))
            cells.append(result.upstream.reshape(-1))
        block = Block(value.numel(), tuple(cells))
        found.append(
            Table(tuple(columns), (block,), f"Result; gradient of {result.seed}", csv=False)
        )
    return found


def _points(result: GradEachResult) -> Table:
    """One row per point; gradients of inputs with several elements take a column each."""
    columns = [Column(result.each), Column("value")]
    cells: list[Cells] = [result.column(result.each), result.column("value")]
    for name in result.rows[0]["gradients"] if result.rows else ():
        rows = [row["gradients"][name] for row in result.rows]
        if any(row is None for row in rows):
            columns.append(Column(f"d/d{name}", f"d_{name}"))
            cells.append([None if row is None else _alone(row) for row in rows])
            continue
        stacked = torch.stack(rows).reshape(len(rows), -1)
        columns += [Column(f"d/d{place}", f"d_{place}") for place in Places(rows[0].shape, name)]
        cells += list(stacked.unbind(1))
    caption = shapes_text(result)
    return Table(
        tuple(columns), (Block(len(result.rows), tuple(cells)),), result.expression, caption
    )


def _alone(tensor: Tensor) -> Cell:
    return numbers.flat(tensor)[0] if tensor.numel() == 1 else None
