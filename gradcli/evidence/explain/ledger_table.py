"""The ledger as tables: one line per operation and path, to be followed with a pencil."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

import torch
from torch import Tensor

from gradcli.language.calls import Call
from gradcli.results import (
    DescendResult,
    GradResult,
    HessianResult,
    JacobianResult,
    LedgerRow,
    PerceptronResult,
    Result,
    SoftmaxJacobianResult,
)
from gradcli.show import numbers
from gradcli.show.table import Block, Cell, Column, Places, Table

_INLINE = 6
"""Elements up to which a tensor is written out."""
_MATRIX = 8
"""Logits up to which the cells of a Jacobian stand in a matrix."""
_HEADINGS = ("#", "name", "operation", "value", "local", "upstream", "product", "rule")


def ledger_tables(result: Result, digits: int) -> list[Table]:
    """The ledger of each subject of `result`, or the cells of a softmax Jacobian."""
    rows = result.ledger or []
    if isinstance(result, SoftmaxJacobianResult):
        return [_cells(result, rows, digits)]
    starts = [
        i for i, row in enumerate(rows) if row.operation == "input" and (not i or rows[i - 1].operation != "input")
    ]
    pieces = [rows[start:stop] for start, stop in pairwise([*starts, len(rows)])]
    return [_table(result, number, piece, digits) for number, piece in enumerate(pieces)]


def _table(result: Result, number: int, rows: Sequence[LedgerRow], digits: int) -> Table:
    subject, part = result.subjects[0 if isinstance(result, JacobianResult) else number], ""
    if isinstance(result, JacobianResult) and result.value.ndim:
        part = Places(result.value.shape, result.output)[number]
    prefix = f"{subject.name or part}: " if subject.name or part else ""
    columns: list[list[Cell]] = [
        [str(line) for line in range(1, len(rows) + 1)],
        [row.name.removeprefix(prefix) for row in rows],
        [row.operation for row in rows],
        [_cell(row.value, digits) for row in rows],
        [_cell(row.local, digits) if isinstance(row.local, Tensor) else None for row in rows],
        [_cell(row.upstream, digits) for row in rows],
        [_cell(row.product, digits) for row in rows],
        [_rule(row, digits) for row in rows],
    ]
    text = result.expression if isinstance(result, GradResult) else subject.expression
    text = f"{part} of {text}" if part else text
    operations = sum(row.operation not in ("input", "gradient") for row in rows)
    inputs = sum(row.operation == "input" for row in rows)
    cuts = [0, inputs, inputs + operations, len(rows)]
    blocks = [
        Block(stop - start, tuple(column[start:stop] for column in columns))
        for start, stop in pairwise(cuts)
        if stop > start
    ]
    shown = tuple(Column(heading) for heading in _HEADINGS)
    title, caption = f"Chain rule: {text}", _caption(result, subject.call)
    narrow = _narrow(rows[inputs:], columns, inputs, prefix, title, caption)
    return Table(shown, tuple(blocks), title, caption, keys=3, csv=False, narrow=narrow)


def _narrow(
    rows: Sequence[LedgerRow], columns: Sequence[Sequence[Cell]], inputs: int, prefix: str, title: str, caption: str
) -> Table:
    """The ledger without what the table above it shows already, and with each text once: it fits a window of 80 columns.

    Inputs are left out, an operation's name holds the operation, and its value in a rule is called `value`.
    """
    names = [row.name.removeprefix(prefix) for row in rows]
    several = {name for name, count in Counter(names).items() if count > 1}
    labels, rules = [], []
    for row, name, rule in zip(rows, names, columns[-1][inputs:], strict=True):
        operand = row.operation.partition(" -> ")[2]
        labels.append(
            f"d/d{name}" if row.operation == "gradient"
            else f"{name} -> {operand}" if name in several and operand else name
        )  # fmt: skip
        rules.append(str(rule).replace(name, "value") if len(name) > len("value") else rule)
    count = sum(row.operation != "gradient" for row in rows)
    cells = [labels, *(column[inputs:] for column in columns[3:-1]), rules]
    blocks = tuple(
        Block(stop - start, tuple(column[start:stop] for column in cells))
        for start, stop in ((0, count), (count, len(rows)))
        if stop > start
    )
    return Table((Column("operation"), *map(Column, _HEADINGS[3:])), blocks, title, caption, csv=False)


_WHICH: Mapping[type[Result], str] = {
    DescendResult: "this is the gradient at the start, used for the first step",
    HessianResult: "this is the gradient, and its derivatives are the Hessian",
}
"""Of which gradient the ledger is, where the result holds several."""


def _caption(result: Result, call: Call | None) -> str:
    """How the lines are to be read, and what is special about this result."""
    lines = ["product = upstream * local, passed from the result back to the operand after ->"]
    if type(result) in _WHICH:
        lines.append(_WHICH[type(result)])
    if isinstance(result, PerceptronResult) and result.inputs["w"].ndim == 2:
        lines.append("the lecture's w_jk, from input j to output k, is w[k][j] here")
    if call is not None and any(
        note.code == "diagonal" and call.entry.name in note.text.split() for note in result.notes
    ):
        lines.append("this is the gradient of the sum of the outputs, not the diagonal above")
    return "; ".join(lines)


def _rule(row: LedgerRow, digits: int) -> str:
    """The formula or the words of the local rule, and the sum of the paths where they join."""
    parts = [row.rule]
    total = row.product if row.operation == "gradient" else row.upstream
    if row.paths and total is not None:
        what = "" if row.operation == "gradient" else "upstream = "
        terms = " + ".join(_text(path, digits, bracketed=True) for path in row.paths)
        small = total.numel() <= _INLINE
        parts.append(f"{what}{terms} = {_text(total, digits)}" if small else f"{what}the sum of {len(row.paths)} paths")
    return "; ".join(part for part in parts if part)


def _cell(tensor: Tensor | str | None, digits: int) -> Cell:
    """One number as it is, so that it is aligned; a tensor as text."""
    if tensor is None or isinstance(tensor, str):
        return tensor
    if tensor.ndim == 0 and not tensor.is_complex():
        number: Cell = numbers.flat(tensor)[0]
        return number
    return _text(tensor, digits)


def _text(tensor: Tensor, digits: int, *, bracketed: bool = False) -> str:
    """A small tensor in PyTorch's brackets, a large one by its shape and its range."""
    tensor = tensor.to_dense()
    if tensor.numel() > _INLINE or not tensor.numel():
        if tensor.is_complex() or not tensor.numel():
            return f"shape {numbers.shape_text(tensor)}"
        least, most = (numbers.significant(numbers.flat(end)[0], digits) for end in (tensor.min(), tensor.max()))
        return f"shape {numbers.shape_text(tensor)}, {least} to {most}"
    if tensor.ndim:
        return f"[{', '.join(_text(part, digits) for part in tensor)}]"
    text = numbers.significant(numbers.flat(tensor)[0], digits)
    return f"({text})" if bracketed and text.startswith("-") else text


def _cells(result: SoftmaxJacobianResult, rows: Sequence[LedgerRow], digits: int) -> Table:
    """The cells as a matrix of formulas, many of them as a list; the invariants below."""
    cells, invariants = rows[:-2], rows[-2:]
    n = result.probabilities.numel()
    caption = "; ".join(f"{row.name}: {row.operation} = {_cell_text(row.value, digits)}" for row in invariants)
    title = "Every cell: p_i (1 - p_i) on the diagonal, -p_i p_j elsewhere"
    if n > _MATRIX:
        values = torch.stack([row.value for row in cells if row.value is not None])
        names, formulas = [row.name for row in cells], [_short(row) for row in cells]
        columns = (Column("cell"), Column("formula"), Column("value"))
        return Table(columns, (Block(len(cells), (names, formulas, values)),), title, caption, csv=False)
    count = len(cells) // n
    lines = [cells[i * n : (i + 1) * n] for i in range(count)]
    matrix = [
        [f"{_short(row)} = {_cell_text(row.value, digits)}" for row in column] for column in zip(*lines, strict=True)
    ]
    heads = (Column("output"), *(Column(f"x[{j}]") for j in range(n)))
    outputs = [f"p[{line[0].name.partition('/')[0][1:]}]" for line in lines]
    return Table(heads, (Block(count, (outputs, *matrix)),), title, caption, csv=False)


def _short(row: LedgerRow) -> str:
    """A cell's formula with its own indices: `p0(1-p0)`, `-p0 p1`."""
    return (row.rule or "").partition(" = ")[0]


def _cell_text(tensor: Tensor | None, digits: int) -> str:
    return "" if tensor is None else _text(tensor, digits)
