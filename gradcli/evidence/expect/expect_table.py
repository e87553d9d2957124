"""The tables of `--expect`: expected and computed values, where a formula differs, and the slip that
explains a miss; and a row for each line of a backward pass.
"""

from collections.abc import Mapping

import torch

from gradcli.errors import quoted
from gradcli.evidence.explain.ledger_table import in_brackets
from gradcli.results import Expected, ExpectedFormula, ExpectedLine, Result, element
from gradcli.show import numbers
from gradcli.show.pieces import table_of
from gradcli.show.table import Block, Cells, Column, Places, Table

SHOWN = 24
"""Numbers of a counterexample that are shown, at most."""
LONG = 60
"""Characters of a line of a backward pass in the table, at most."""


def expect_tables(result: Result, digits: int) -> list[Table]:
    """The table of all expectations, a block for each, and that of a backward pass."""
    lines = {k: item for k, item in (result.expect or {}).items() if isinstance(item, ExpectedLine)}
    expected = {k: item for k, item in (result.expect or {}).items() if k not in lines}
    tables = [_values(expected, digits)] if expected else []
    return [*tables, *([_backward(lines, digits)] if lines else [])]


def _values(expected: Mapping[str, Expected], digits: int) -> Table:
    compared = any(item.met for item in expected.values())
    headings = ("value", "expected", "computed", "difference", "verdict")[: 5 if compared else 3]
    cells = ((it.expected.numel(), _cells(key, it)) for key, it in expected.items())
    blocks = [Block(count, columns[: len(headings)]) for count, columns in cells]
    off = [key for key, item in expected.items() if not item.ok]
    title = f"Not as expected: {', '.join(off)}" if off else "As expected"
    alone = len(expected) == 1
    remarks = (_remark(key, item, digits, alone=alone) for key, item in expected.items())
    caption = "\n".join(remark for remark in remarks if remark)
    columns = tuple(map(Column, headings))
    return Table(columns, tuple(blocks), title, caption, ends=int(compared), csv=False)


def _cells(key: str, item: Expected) -> tuple[Cells, ...]:
    """The cells of one expectation, the last two only meaningful if the shapes are the same."""
    expected, computed = item.expected.reshape(-1), item.computed.reshape(-1)
    truth = computed.dtype == torch.bool and bool(((expected == 0) | (expected == 1)).all())
    if truth:
        expected = expected.bool()
    if not item.met:
        same = len(expected) == len(computed)
        values = numbers.flat(computed) if same else [None] * len(expected)
        return Places(item.expected.shape, key), expected, values, "", "off"
    difference = "" if truth else computed.double() - expected
    elsewhere = not item.ok and all(item.met)
    verdicts = [("ok here" if elsewhere else "ok") if met else "off" for met in item.met]
    return Places(item.computed.shape, key), expected, computed, difference, verdicts


def _remark(key: str, item: Expected, digits: int, *, alone: bool) -> str:
    """The remarks on an expectation: at how many points a formula agrees, where not, and the slip;
    empty without one.
    """
    parts = [f"{item.slip}: {item.advice}" if item.slip else item.advice] if item.advice else []
    if not item.met and item.expected.shape != item.computed.shape:
        shapes = (numbers.shape_text(tensor) for tensor in (item.expected, item.computed))
        parts.append("expected shape {}, computed shape {}".format(*shapes))
    said = ("" if alone else f"{key}: ") + "; ".join(parts) if parts else ""
    if isinstance(item, ExpectedFormula):
        return "\n".join(part for part in (_agreement(key, item, digits), said) if part)
    return said


def _agreement(key: str, item: ExpectedFormula, digits: int) -> str:
    """At how many points a formula agrees, and where it does not."""
    formula = f"{key} = {item.formula}"
    count = f"agrees with {item.source} at {item.agreed} of {item.points} points"
    if not item.ok:
        return f"{formula} {count}{_where(key, item, digits)}"
    here = "; the given point does not count, as it has no slope or no value"
    return f"{formula} {count}, which is evidence, not proof{'' if all(item.met) else here}"


def _where(key: str, item: ExpectedFormula, digits: int) -> str:
    """A counterexample in the inputs' own numbers; nothing for the given point, which is shown."""
    found = item.counterexample
    if found is None or (item.given and not isinstance(item, ExpectedLine)):
        return ""
    if item.given:
        where = "; at the given point"
    elif sum(tensor.numel() for tensor in found.inputs.values()) > SHOWN:
        where = "; at a point that --json shows"
    else:
        inputs = (
            f"{name} = {in_brackets(tensor, digits)}" for name, tensor in found.inputs.items()
        )
        where = f"; at {', '.join(inputs)}"
    if found.expected.shape != found.computed.shape:
        shapes = (numbers.shape_text(tensor) for tensor in (found.expected, found.computed))
        return "{} its shape is {}, and {}'s {}".format(where, next(shapes), item.source, *shapes)
    place = int((found.expected - found.computed.double()).abs().reshape(-1).nan_to_num().argmax())
    sides = (found.expected, found.computed)
    mine, right = (numbers.significant(numbers.flat(t)[place], digits) for t in sides)
    return f"{where} it gives {element(key, place, found.expected)} = {mine}, {item.source} {right}"


def _backward(lines: Mapping[str, ExpectedLine], digits: int) -> Table:
    """A row for each gradient; below it the first wrong line, the caret, the slip."""
    off = [(name, item) for name, item in lines.items() if not item.ok]
    items = lines.values()
    wrong = ["right with your own numbers" if item.own else "off" for item in items]
    columns: list[tuple[str | Column, Cells]] = [
        ("line", [item.line for item in items]),
        (Column("gradient", code=True), [_short(name, item) for name, item in lines.items()]),
        ("agrees at", [f"{item.agreed} of {item.points} points" for item in items]),
        ("verdict", ["ok" if it.ok else off for it, off in zip(items, wrong, strict=True)]),
    ]
    if any(item.slip for item in items):
        columns.append(("slip", [item.slip or "" for item in items]))
    helpers = ", ".join(next(iter(items)).unread)
    if helpers:
        helpers = f"no input or step has a gradient of the name {helpers}, which no line reads"
    title = "Backward pass: every line agrees with autograd"
    remarks = [
        "each line has autograd's numbers for the lines above it; points of agreement are evidence, not a proof"
    ]
    if off:
        name, first = off[0]
        title = f"Backward pass: {name} is the first line that is off"
        remarks = [f"line {first.line} is the first that is off:"]
        remarks += [f"  {line}" for line in first.place.draw()] if first.place else []
        said = f"{first.slip}: {first.advice}" if first.slip else first.advice
        remarks += [said, _where(name, first, digits).removeprefix("; ")]
        if own := [later for later, item in off[1:] if item.own]:
            are = "is" if len(own) == 1 else "are"
            right = f"{', '.join(own)} below {are} right with your own numbers"
            remarks.append(f"{right}: what is left out here comes later, such as the 1/m of a mean")
    caption = "\n".join(filter(None, [*remarks, helpers]))
    return table_of(len(lines), columns, title, caption, keys=2, csv=False)


def _short(name: str, item: ExpectedLine) -> str:
    """The statement of a line, as long as the table has room."""
    text = " ".join(item.place.text.split()) if item.place else f"{name} = {item.formula}"
    return quoted(text, LONG)
