"""The tables of `jacobian`: the value, and the blocks of all inputs side by side."""

import torch

from gradcli.commands.jacobian.result import JacobianResult
from gradcli.show import numbers
from gradcli.show.pieces import FilledColumn, matrix_table, table_of
from gradcli.show.table import Places, Table


def tables(result: JacobianResult, digits: int) -> list[Table]:
    """The value, and a matrix of one row per output element, one column per input element."""
    rows = Places(result.value.shape, result.output)
    elements: list[FilledColumn] = [("output", rows), ("value", result.value.reshape(-1))]
    value = table_of(len(rows), elements, result.expression, csv=False)
    blocks = {name: block for name, block in result.jacobian.items() if block is not None}
    columns = [place for name in blocks for place in Places(result.inputs[name].shape, name)]
    joint = [b.reshape(len(rows), result.inputs[name].numel()) for name, b in blocks.items()]
    joint = joint or [torch.empty(len(rows), 0)]
    matrix = torch.cat(joint, 1) if len(joint) > 1 else joint[0]  # without a copy of a large one
    shapes = "  ".join(f"by {name} {numbers.shape_text(block)}" for name, block in blocks.items())
    caption = f"rows: outputs, columns: inputs; {result.dtype}, {shapes}"
    return [value, matrix_table("output", rows, columns, matrix, "Jacobian", caption)]
