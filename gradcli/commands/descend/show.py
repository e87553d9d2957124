"""The tables of `descend`: a row for each step, the value over the steps as a curve, and with
--explain the updates in numbers.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from gradcli.catalogue.optimizers import NAME
from gradcli.commands.descend.result import DescendResult, Update, UpdateLine
from gradcli.evidence.explain import ledger_table
from gradcli.evidence.explain.ledger_table import INLINE, cell_of, text_of
from gradcli.show import numbers
from gradcli.show.pieces import FilledColumn, by_element, one_number, shapes_text, table_of
from gradcli.show.table import Block, Cell, Column, LineChart, Places, Table

ROWS = 11
"""Steps on the screen."""
MANY = 8
"""Numbers of the parameters from which on the screen shows them at the start and the end alone."""

_ENDS = {
    "steps": "all steps done",
    "tolerance": "no parameter moved further than --min-move",
    "diverged": "a number is not finite",
}
"""Why a descent ended, in words."""


def tables(result: DescendResult, digits: int) -> list[Table | LineChart]:
    """A row per step, and the value over the steps as a curve."""
    steps = result.steps
    values = torch.stack([step.value for step in steps])
    values_at: list[FilledColumn] = [("step", [step.step for step in steps]), ("value", values)]
    columns = list(values_at)
    for name in result.parameters:
        columns += by_element(name, [step.parameters[name] for step in steps])
    count = counted(steps[-1].step)
    end = f"{one_number(result.value, digits)} after {count} of {result.optimizer}"
    caption = f"stopped: {result.stopped}, {_ENDS[result.stopped]}; {shapes_text(result)}"
    title = f"{result.expression} = {end}"
    table = table_of(len(steps), columns, title, caption, rows=ROWS)
    shown: list[Table | LineChart] = [table]
    if len(columns) - len(values_at) >= MANY:
        brief = table_of(len(steps), values_at, title, caption, rows=ROWS, csv=False)
        shown = [
            brief,
            _parameters(result, f"after {count}"),
            replace(table, title="Steps", caption="", more=True),
        ]
    if int(values.isfinite().sum()) > 2:
        shown.append(LineChart(values, "value", "step"))
    return shown


def counted(steps: int) -> str:
    """A number of steps in words."""
    return "1 step" if steps == 1 else f"{steps} steps"


def _parameters(result: DescendResult, end: str) -> Table:
    """A row per element of each parameter: at the start and at the end."""
    first = result.steps[0].parameters
    blocks = [
        Block(last.numel(), (Places(last.shape, name), first[name].reshape(-1), last.reshape(-1)))
        for name, last in result.parameters.items()
    ]
    columns = (Column("parameter"), Column("at the start"), Column(end))
    return Table(columns, tuple(blocks), "Parameters", csv=False, ruled=True)


# --- the updates --------------------------------------------------------------------------------


def ledger_tables(result: DescendResult, digits: int) -> list[Table]:
    """The chain rule of the first gradient, then the updates of each parameter in numbers."""
    updates = {
        name: [update for update in result.updates or [] if update.parameter == name]
        for name in result.parameters
    }
    return ledger_table.ledger_tables(result, digits) + [
        _updates(result, name, rows, digits) for name, rows in updates.items() if rows
    ]


def _updates(result: DescendResult, name: str, rows: Sequence[Update], digits: int) -> Table:
    """A block for each step: each quantity with its formula, in symbols and in numbers."""
    values = [line.value for row in rows for line in row.lines if line.value is not None]
    aligned = not any(each.ndim for each in values)  # else every cell is text, which may be broken

    def value(tensor: Tensor | None) -> Cell:
        return cell_of(tensor, digits) if aligned or tensor is None else text_of(tensor, digits)

    blocks, narrow = [], []
    for row in rows:
        cells = [
            (line.name, line.text, _in_numbers(line, digits), value(line.value))
            for line in row.lines
        ]
        blocks.append(_block(row.step, cells))
        narrow.append(_block(row.step, [line for each in cells for line in _folded(*each)]))
    formulas = [Column(heading, code=True) for heading in ("name", "formula", "in numbers")]
    heads = (Column("step"), *formulas, Column("value"))
    last = result.steps[-1].step
    count = counted(last)
    if len(rows) < last:
        count = f"the first {len(rows)} of {count}, --full shows all"
    title = f"{name} by {result.optimizer}: {count}"
    caption = f"theta is {name}; in its own formula a name means its value before the step"
    folded = Table(
        (*heads[:2], replace(heads[2], heading="formula, in numbers"), heads[4]),
        tuple(narrow),
        title,
        caption,
        keys=2,
    )
    return Table(heads, tuple(blocks), title, caption, keys=2, csv=False, narrow=folded)


def _block(step: int, rows: Sequence[Sequence[Cell]]) -> Block:
    """The rows of a step, of which the first has its number."""
    steps: list[Cell] = [step, *[None] * (len(rows) - 1)]
    return Block(len(rows), (steps, *map(list, zip(*rows, strict=True))))


def _folded(name: Cell, formula: Cell, filled: Cell, value: Cell) -> list[tuple[Cell, ...]]:
    """A row with the numbers in a row below the formula."""
    if not filled:
        return [(name, formula, value)]
    return [(name, formula, None), (None, f"= {filled}", value)]


def _in_numbers(line: UpdateLine, digits: int) -> str:
    """The formula of a line with a number, or a small tensor, for each name; empty if one is large."""
    operands = line.operands or {}
    large = any(isinstance(each, Tensor) and each.numel() > INLINE for each in operands.values())
    if large or not operands:
        return ""
    texts = {
        name: text_of(value, digits, bracketed=True)
        if isinstance(value, Tensor)
        else numbers.exact(value)
        for name, value in operands.items()
    }
    return NAME.sub(lambda found: texts.get(found[0], found[0]), line.text)
