"""The tables of `softmax-jacobian`: probabilities, the matrix, and its cells written out."""

from collections.abc import Sequence

import torch
from torch import Tensor

from gradcli.commands.softmax_jacobian.result import SoftmaxJacobianResult
from gradcli.evidence.explain.ledger_table import text_of
from gradcli.results import LedgerRow
from gradcli.show import numbers
from gradcli.show.pieces import FilledColumn, matrix_table, table_of
from gradcli.show.table import Column, Places, Table

_MATRIX = 8
"""Logits, at most, for which the cells of a Jacobian are shown as a matrix."""
_OUTPUT = Column("output", code=True)
"""The column of the names of rows."""


def tables(result: SoftmaxJacobianResult, digits: int) -> list[Table]:
    """The probabilities, and the Jacobian or its chosen row."""
    p = result.probabilities
    n = p.numel()
    columns: list[FilledColumn] = [("i", Places((n,))), ("x_i", result.inputs["x"]), ("p_i", p)]
    mark = ["label" if i == result.label else "" for i in range(n)] if n <= 1000 else ""
    columns.append((Column(" ", ""), mark))
    title = f"softmax(x), predicted label {result.label}"
    probabilities = table_of(n, columns, title, csv=False)
    rows: Sequence[str] = Places((n,), "p")
    matrix = result.jacobian
    if result.row is not None:
        rows, matrix = [f"p[{result.row_index}]"], result.row.unsqueeze(0)
    title = "Jacobian: p_i (1 - p_j) for i = j, -p_i p_j elsewhere"
    shape = numbers.shape_text(result.jacobian)
    caption = f"rows: outputs p_i, columns: inputs x_j; {result.dtype}, jacobian {shape}"
    inputs = Places((n,), "x")
    return [probabilities, matrix_table(_OUTPUT, rows, inputs, matrix, title, caption)]


def ledger_tables(result: SoftmaxJacobianResult, digits: int) -> list[Table]:
    """The cells as a matrix of formulas, or as a list if they are many; the invariants below."""
    rows = result.ledger or []
    cells = [row for row in rows if row.kind == "cell"]
    n = result.probabilities.numel()
    title = "Every cell: p_i (1 - p_i) on the diagonal, -p_i p_j elsewhere"
    caption = "; ".join(
        f"{row.name}: {row.operation} = {_value_text(row.value, digits)}"
        for row in rows
        if row.kind == "invariant"
    )
    columns: list[FilledColumn]
    if n > _MATRIX:
        columns = [
            ("cell", [row.name for row in cells]),
            ("formula", [_formula(row) for row in cells]),
            ("value", torch.stack([row.value for row in cells if row.value is not None])),
        ]
        return [table_of(len(cells), columns, title, caption, csv=False)]
    outputs = [f"p[{row.name.partition('/')[0][1:]}]" for row in cells[::n]]
    columns = [(_OUTPUT, outputs)]
    for j in range(n):
        column = [f"{_formula(row)} = {_value_text(row.value, digits)}" for row in cells[j::n]]
        columns.append((f"x[{j}]", column))
    return [table_of(len(outputs), columns, title, caption, csv=False)]


def _formula(row: LedgerRow) -> str:
    """A cell's formula with its own indices: `p0(1-p0)`, `-p0 p1`."""
    return (row.rule or "").partition(" = ")[0]


def _value_text(tensor: Tensor | None, digits: int) -> str:
    return "" if tensor is None else text_of(tensor, digits)
