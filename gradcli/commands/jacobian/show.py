"""The tables of `jacobian`: the value, and the blocks of all inputs side by side."""

import torch

from gradcli.commands.jacobian.result import JacobianResult
from gradcli.show import numbers
from gradcli.show.pieces import matrix_table
from gradcli.show.table import Block, Column, Places, Table


def tables(result: JacobianResult, digits: int) -> list[Table]:
    """The blocks of all inputs side by side: one row per output element, one column per input
    element.
    """
    rows = Places(result.value.shape, result.output)
    blocks = {name: block for name, block in result.jacobian.items() if block is not None}
    columns = [place for name in blocks for place in Places(result.inputs[name].shape, name)]
    joint = [block.reshape(len(rows), -1) for block in blocks.values()]
    matrix = (
        torch.cat(joint, 1) if len(joint) > 1 else joint[0] if joint else torch.empty(len(rows), 0)
    )
    value = Table(
        (Column("output"), Column("value")),
        (Block(len(rows), (rows, result.value.reshape(-1))),),
        result.expression,
        csv=False,
    )
    shapes = "  ".join(f"by {name} {numbers.shape_text(block)}" for name, block in blocks.items())
    caption = f"rows: outputs, columns: inputs; {result.dtype}, {shapes}"
    return [value, matrix_table(rows, columns, matrix, "Jacobian", caption)]
