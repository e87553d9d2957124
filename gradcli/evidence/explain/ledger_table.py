"""The ledger as tables: one line per operation and path, to follow with a pencil."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby, pairwise

from torch import Tensor

from gradcli.language.calls import Call
from gradcli.results import LedgerRow, Result
from gradcli.show import numbers
from gradcli.show.table import Block, Cell, Column, Table

INLINE = 6
"""Elements up to which a tensor is written out."""
_HEADINGS = ("#", "name", "operation", "value", "local", "upstream", "product", "rule")


def ledger_tables(result: Result, digits: int) -> list[Table]:
    """The ledger of each subject of `result`."""
    groups = groupby(result.ledger or [], lambda row: id(row.subject))
    return [_table(result, list(rows), digits) for _, rows in groups]


def _table(result: Result, rows: Sequence[LedgerRow], digits: int) -> Table:
    subject = rows[0].subject
    assert subject is not None
    columns: list[list[Cell]] = [
        [str(line) for line in range(1, len(rows) + 1)],
        [row.label for row in rows],
        [row.operation for row in rows],
        [cell_of(row.value, digits) for row in rows],
        [cell_of(row.local, digits) if isinstance(row.local, Tensor) else None for row in rows],
        [cell_of(row.upstream, digits) for row in rows],
        [cell_of(row.product, digits) for row in rows],
        [_rule(row, digits) for row in rows],
    ]
    inputs, operations = (sum(row.kind == kind for row in rows) for kind in ("input", "operation"))
    blocks = _blocks(columns, 0, inputs, inputs + operations, len(rows))
    title = f"Chain rule: {subject.title or subject.expression}"
    caption = _caption(result, subject.call)
    narrow = replace(_narrow(rows[inputs:], columns, inputs), title=title, caption=caption)
    headings = tuple(map(Column, _HEADINGS))
    return Table(headings, blocks, title, caption, keys=3, csv=False, narrow=narrow)


def _blocks(columns: Sequence[Sequence[Cell]], *cuts: int) -> tuple[Block, ...]:
    return tuple(
        Block(stop - start, tuple(column[start:stop] for column in columns))
        for start, stop in pairwise(cuts)
        if stop > start
    )


def _narrow(rows: Sequence[LedgerRow], columns: Sequence[Sequence[Cell]], inputs: int) -> Table:
    """The ledger without what the table above it shows, and with each text once, for 80 columns.

    Inputs are left out, an operation's name contains the operation, and its value in a rule is
    called `value`.
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
    headings = tuple(map(Column, ("operation", *_HEADINGS[3:])))
    return Table(headings, _blocks(cells, 0, count, len(rows)), csv=False)


def _caption(result: Result, call: Call | None) -> str:
    """How to read the lines, and what is special about this result."""
    lines = ["product = upstream * local, passed from the result back to the operand after ->"]
    lines += result.ledger_remarks()
    diagonal = (note.text.split() for note in result.notes if note.code == "diagonal")
    if call is not None and any(call.entry.name in words for words in diagonal):
        lines.append("this is the gradient of the sum of the outputs, not the diagonal above")
    return "; ".join(lines)


def _rule(row: LedgerRow, digits: int) -> str:
    """The formula or the words of the local rule, and the sum of the paths if they join."""
    parts = [row.rule]
    total = row.product if row.kind == "gradient" else row.upstream
    if row.paths and total is not None:
        text = f"the sum of {len(row.paths)} paths"
        if total.numel() <= INLINE:
            terms = (text_of(path, digits, bracketed=True) for path in row.paths)
            text = f"{' + '.join(terms)} = {text_of(total, digits)}"
        parts.append(text if row.kind == "gradient" else f"upstream = {text}")
    return "; ".join(part for part in parts if part)


def cell_of(tensor: Tensor | str | None, digits: int) -> Cell:
    """One number as a number, so that it is aligned; a tensor as text."""
    if tensor is None or isinstance(tensor, str):
        return tensor
    if tensor.ndim == 0 and not tensor.is_complex():
        number: Cell = numbers.flat(tensor)[0]
        return number
    return text_of(tensor, digits)


def text_of(tensor: Tensor, digits: int, *, bracketed: bool = False) -> str:
    """A small tensor in PyTorch's brackets, a large one by its shape and range."""
    tensor = tensor.to_dense()
    if tensor.numel() > INLINE or not tensor.numel():
        if tensor.is_complex() or not tensor.numel():
            return f"shape {numbers.shape_text(tensor)}"
        ends = (numbers.flat(end)[0] for end in (tensor.min(), tensor.max()))
        least, most = (numbers.significant(end, digits) for end in ends)
        return f"shape {numbers.shape_text(tensor)}, {least} to {most}"
    if tensor.ndim:
        return f"[{', '.join(text_of(part, digits) for part in tensor)}]"
    text = numbers.significant(numbers.flat(tensor)[0], digits)
    return f"({text})" if bracketed and text.startswith("-") else text
