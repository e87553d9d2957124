"""The ledger as tables: one line per operation and path, to be followed with a pencil."""

from collections import Counter
from collections.abc import Sequence
from itertools import groupby, pairwise

from torch import Tensor

from gradcli.language.calls import Call
from gradcli.results import LedgerRow, Result
from gradcli.show import numbers
from gradcli.show.table import Block, Cell, Column, Table

_INLINE = 6
"""Elements up to which a tensor is written out."""
_HEADINGS = ("#", "name", "operation", "value", "local", "upstream", "product", "rule")


def ledger_tables(result: Result, digits: int) -> list[Table]:
    """The ledger of each subject of `result`."""
    found = groupby(result.ledger or [], lambda row: id(row.subject))
    return [_table(result, list(rows), digits) for _, rows in found]


def _table(result: Result, rows: Sequence[LedgerRow], digits: int) -> Table:
    subject = rows[0].subject
    assert subject is not None
    columns: list[list[Cell]] = [
        [str(line) for line in range(1, len(rows) + 1)],
        [row.label for row in rows],
        [row.operation for row in rows],
        [_cell(row.value, digits) for row in rows],
        [_cell(row.local, digits) if isinstance(row.local, Tensor) else None for row in rows],
        [_cell(row.upstream, digits) for row in rows],
        [_cell(row.product, digits) for row in rows],
        [_rule(row, digits) for row in rows],
    ]
    inputs, operations = (sum(row.kind == kind for row in rows) for kind in ("input", "operation"))
    cuts = [0, inputs, inputs + operations, len(rows)]
    blocks = [
        Block(stop - start, tuple(column[start:stop] for column in columns))
        for start, stop in pairwise(cuts)
        if stop > start
    ]
    shown = tuple(Column(heading) for heading in _HEADINGS)
    title, caption = (
        f"Chain rule: {subject.title or subject.expression}",
        _caption(result, subject.call),
    )
    narrow = _narrow(rows[inputs:], columns, inputs, title, caption)
    return Table(shown, tuple(blocks), title, caption, keys=3, csv=False, narrow=narrow)


def _narrow(
    rows: Sequence[LedgerRow],
    columns: Sequence[Sequence[Cell]],
    inputs: int,
    title: str,
    caption: str,
) -> Table:
    """The ledger without what the table above it shows already, and with each text once: it fits a
    window of 80 columns.

    Inputs are left out, an operation's name holds the operation, and its value in a rule is called
    `value`.
    """
    names = [row.label for row in rows]
    several = {name for name, count in Counter(names).items() if count > 1}
    labels, rules = [], []
    for row, name, rule in zip(rows, names, columns[-1][inputs:], strict=True):
        labels.append(
            f"d/d{name}" if row.kind == "gradient"
            else f"{name} -> {row.operand}" if name in several and row.operand else name
        )  # fmt: skip
        rules.append(str(rule).replace(name, "value") if len(name) > len("value") else rule)
    count = sum(row.kind != "gradient" for row in rows)
    cells = [labels, *(column[inputs:] for column in columns[3:-1]), rules]
    blocks = tuple(
        Block(stop - start, tuple(column[start:stop] for column in cells))
        for start, stop in ((0, count), (count, len(rows)))
        if stop > start
    )
    return Table(
        (Column("operation"), *map(Column, _HEADINGS[3:])), blocks, title, caption, csv=False
    )


def _caption(result: Result, call: Call | None) -> str:
    """How the lines are to be read, and what is special about this result."""
    lines = ["product = upstream * local, passed from the result back to the operand after ->"]
    lines += result.ledger_remarks()
    if call is not None and any(
        note.code == "diagonal" and call.entry.name in note.text.split() for note in result.notes
    ):
        lines.append("this is the gradient of the sum of the outputs, not the diagonal above")
    return "; ".join(lines)


def _rule(row: LedgerRow, digits: int) -> str:
    """The formula or the words of the local rule, and the sum of the paths where they join."""
    parts = [row.rule]
    total = row.product if row.kind == "gradient" else row.upstream
    if row.paths and total is not None:
        what = "" if row.kind == "gradient" else "upstream = "
        terms = " + ".join(text_of(path, digits, bracketed=True) for path in row.paths)
        small = total.numel() <= _INLINE
        parts.append(
            f"{what}{terms} = {text_of(total, digits)}"
            if small
            else f"{what}the sum of {len(row.paths)} paths"
        )
    return "; ".join(part for part in parts if part)


def _cell(tensor: Tensor | str | None, digits: int) -> Cell:
    """One number as it is, so that it is aligned; a tensor as text."""
    if tensor is None or isinstance(tensor, str):
        return tensor
    if tensor.ndim == 0 and not tensor.is_complex():
        number: Cell = numbers.flat(tensor)[0]
        return number
    return text_of(tensor, digits)


def text_of(tensor: Tensor, digits: int, *, bracketed: bool = False) -> str:
    """A small tensor in PyTorch's brackets, a large one by its shape and its range."""
    tensor = tensor.to_dense()
    if tensor.numel() > _INLINE or not tensor.numel():
        if tensor.is_complex() or not tensor.numel():
            return f"shape {numbers.shape_text(tensor)}"
        least, most = (
            numbers.significant(numbers.flat(end)[0], digits)
            for end in (tensor.min(), tensor.max())
        )
        return f"shape {numbers.shape_text(tensor)}, {least} to {most}"
    if tensor.ndim:
        return f"[{', '.join(text_of(part, digits) for part in tensor)}]"
    text = numbers.significant(numbers.flat(tensor)[0], digits)
    return f"({text})" if bracketed and text.startswith("-") else text
