"""The ledger as tables: one line per operation and path, to follow with a pencil."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby, pairwise
from typing import TypeVar

from torch import Tensor

from gradcli.language.calls import Call
from gradcli.results import ForwardRow, LedgerRow, Result, Subject
from gradcli.show import numbers
from gradcli.show.pieces import one_number
from gradcli.show.table import Block, Cell, Column, Table

Row = TypeVar("Row", LedgerRow, ForwardRow)

INLINE = 6
"""Elements up to which a tensor is written out."""


def ledger_tables(result: Result, digits: int) -> list[Table]:
    """The ledger of each subject of `result`."""
    tables = []
    for subject, rows in _by_subject(result.ledger or []):
        flow, rules = [row.upstream for row in rows], [_rule(row, digits) for row in rows]
        title = f"Chain rule: {subject.title or subject.expression}"
        caption = _caption(result, subject.call)
        tables.append(_table(rows, "upstream", flow, rules, title, caption, digits))
    return tables


def forward_tables(result: Result, digits: int) -> list[Table]:
    """The ledger of forward mode of each subject of `result`."""
    tables = []
    for subject, rows in _by_subject(result.forward or []):
        title = f"Chain rule, forward: {subject.title or subject.expression}"
        caption = "product = tangent * local, passed from the operand before -> on to the result"
        # A product of one number is made of many tangents where the local derivative is a tensor.
        whole = [row.local for row in rows if row.product is not None and not row.product.ndim]
        if any(isinstance(local, Tensor) and local.ndim for local in whole):
            caption += "; where that is one number, the sum of these"
        rules = [_joined(row.rule, row.paths, row.total, "tangent = ", digits) for row in rows]
        flow = [row.tangent for row in rows]
        tables.append(_table(rows, "tangent", flow, rules, title, caption, digits))
    return tables


def _by_subject(ledger: Sequence[Row]) -> Iterator[tuple[Subject, list[Row]]]:
    """The rows of each subject."""
    for _, group in groupby(ledger, lambda row: id(row.subject)):
        rows = list(group)
        assert rows[0].subject is not None
        yield rows[0].subject, rows


def _table(
    rows: Sequence[LedgerRow | ForwardRow], heading: str, flow: Sequence[Tensor | None],
    rules: Sequence[Cell], title: str, caption: str, digits: int,
) -> Table:  # fmt: skip
    """The table of one subject, with `flow`, that along which the chain rule goes, and the rules."""
    columns: list[list[Cell]] = [
        [str(line) for line in range(1, len(rows) + 1)],
        [row.label for row in rows],
        [row.operation for row in rows],
        [cell_of(row.value, digits) for row in rows],
        [cell_of(row.local, digits) if isinstance(row.local, Tensor) else None for row in rows],
        [cell_of(tensor, digits) for tensor in flow],
        [cell_of(row.product, digits) for row in rows],
        [*rules],
    ]
    inputs, operations = (sum(row.kind == kind for row in rows) for kind in ("input", "operation"))
    blocks = _blocks(columns, 0, inputs, inputs + operations, len(rows))
    headings = ("#", "name", "operation", "value", "local", heading, "product", "rule")
    narrow = replace(_narrow(rows, columns, headings, inputs), title=title, caption=caption)
    shown = tuple(map(_headed, headings))
    return Table(shown, blocks, title, caption, keys=3, csv=False, narrow=narrow)


def _headed(heading: str) -> Column:
    return Column(heading, code=heading in ("name", "operation", "rule"))


def _blocks(columns: Sequence[Sequence[Cell]], *cuts: int) -> tuple[Block, ...]:
    spans = [(start, stop) for start, stop in pairwise(cuts) if stop > start]
    return tuple(
        Block(stop - start, tuple(c[start:stop] for c in columns)) for start, stop in spans
    )


def _narrow(
    rows: Sequence[LedgerRow | ForwardRow], columns: Sequence[Sequence[Cell]],
    headings: Sequence[str], inputs: int,
) -> Table:  # fmt: skip
    """The ledger without what the table above it shows, and with each text once, for 80 columns.

    Inputs are left out, an operation's name contains the operation, and its value in a rule is
    called `value`.
    """
    names = Counter(row.label for row in rows[inputs:])
    labels, rules = [], []
    for row, rule in zip(rows[inputs:], columns[-1][inputs:], strict=True):
        name = row.label
        labels.append(row.short if names[name] > 1 or row.kind == "gradient" else name)
        rules.append(str(rule).replace(name, "value") if len(name) > len("value") else rule)
    count = sum(row.kind == "operation" for row in rows)
    cells = [labels, *(column[inputs:] for column in columns[3:-1]), rules]
    shown = tuple(map(_headed, ("operation", *headings[3:])))
    return Table(shown, _blocks(cells, 0, count, len(rows) - inputs), csv=False)


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
    if row.kind == "gradient":
        return _joined(row.rule, row.paths, row.product, "", digits)
    return _joined(row.rule, row.paths, row.upstream, "upstream = ", digits)


def _joined(
    rule: str | None, paths: Sequence[Tensor] | None, total: Tensor | None, name: str, digits: int
) -> str:
    """A rule, and after `name` the sum of the paths, of any shape, if they join."""
    if not paths or total is None:
        return rule or ""
    text = f"the sum of {len(paths)} paths"
    if total.numel() <= INLINE:
        terms = (text_of(path, digits, bracketed=True) for path in paths)
        text = f"{' + '.join(terms)} = {text_of(total, digits)}"
    return "; ".join(filter(None, (rule, f"{name}{text}")))


def cell_of(tensor: Tensor | str | None, digits: int) -> Cell:
    """A real 0-d tensor as a number, so that it is aligned; any other tensor as text."""
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
    text = in_brackets(tensor, digits)
    return f"({text})" if bracketed and text.startswith("-") else text


def in_brackets(tensor: Tensor, digits: int) -> str:
    """All numbers of a tensor, of any shape, in nested brackets: `[[1, 2], [3, 4]]`."""
    if tensor.ndim:
        return f"[{', '.join(in_brackets(part, digits) for part in tensor)}]"
    return one_number(tensor, digits)
