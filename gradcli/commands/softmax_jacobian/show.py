"""The tables of `softmax-jacobian`: probabilities, the matrix, and its cells written out."""

import torch
from torch import Tensor

from gradcli.commands.softmax_jacobian.result import SoftmaxJacobianResult
from gradcli.evidence.explain.ledger_table import text_of
from gradcli.results import LedgerRow
from gradcli.show import numbers
from gradcli.show.table import Block, Column, Places, Table

_MATRIX = 8
"""Logits up to which the cells of a Jacobian stand in a matrix."""


def tables(result: SoftmaxJacobianResult, digits: int) -> list[Table]:
    """The probabilities, and the Jacobian or its chosen row."""
    x, p = result.inputs["x"], result.probabilities
    n = p.numel()
    mark = ["label" if i == result.label else "" for i in range(n)] if n <= 1000 else ""
    probabilities = Table(
        (Column("i"), Column("x_i"), Column("p_i"), Column(" ", "")),
        (Block(n, (Places((n,)), x, p, mark)),),
        f"softmax(x), predicted label {result.label}",
        csv=False,
    )
    shown = [result.row_index] if result.row_index is not None else list(range(n))
    columns = (Column("output"), *(Column(f"x[{j}]") for j in range(n)))
    rows = result.jacobian if result.row is None else result.row.unsqueeze(0)
    block = Block(len(shown), ([f"p[{i}]" for i in shown], *rows.unbind(1)))
    title = "Jacobian: p_i (1 - p_j) for i = j, -p_i p_j elsewhere"
    caption = f"rows: outputs p_i, columns: inputs x_j; {result.dtype}, jacobian {numbers.shape_text(result.jacobian)}"
    return [probabilities, Table(columns, (block,), title, caption)]


def ledger_tables(result: SoftmaxJacobianResult, digits: int) -> list[Table]:
    """The cells as a matrix of formulas, many of them as a list; the invariants below."""
    rows = result.ledger or []
    cells = [row for row in rows if row.kind == "cell"]
    invariants = [row for row in rows if row.kind == "invariant"]
    n = result.probabilities.numel()
    caption = "; ".join(
        f"{row.name}: {row.operation} = {_cell_text(row.value, digits)}" for row in invariants
    )
    title = "Every cell: p_i (1 - p_i) on the diagonal, -p_i p_j elsewhere"
    if n > _MATRIX:
        values = torch.stack([row.value for row in cells if row.value is not None])
        names, formulas = [row.name for row in cells], [_short(row) for row in cells]
        columns = (Column("cell"), Column("formula"), Column("value"))
        return [
            Table(
                columns, (Block(len(cells), (names, formulas, values)),), title, caption, csv=False
            )
        ]
    count = len(cells) // n
    lines = [cells[i * n : (i + 1) * n] for i in range(count)]
    matrix = [
        [f"{_short(row)} = {_cell_text(row.value, digits)}" for row in column]
        for column in zip(*lines, strict=True)
    ]
    heads = (Column("output"), *(Column(f"x[{j}]") for j in range(n)))
    outputs = [f"p[{line[0].name.partition('/')[0][1:]}]" for line in lines]
    return [Table(heads, (Block(count, (outputs, *matrix)),), title, caption, csv=False)]


def _short(row: LedgerRow) -> str:
    """A cell's formula with its own indices: `p0(1-p0)`, `-p0 p1`."""
    return (row.rule or "").partition(" = ")[0]


def _cell_text(tensor: Tensor | None, digits: int) -> str:
    return "" if tensor is None else text_of(tensor, digits)
