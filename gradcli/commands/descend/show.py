"""The tables of `descend`: a row for each step, and the value over the steps as a curve."""

from dataclasses import replace

import torch

from gradcli.commands.descend.result import DescendResult
from gradcli.show.pieces import FilledColumn, by_element, one_number, shapes_text, table_of
from gradcli.show.table import Block, Column, LineChart, Places, Table

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
    count = "1 step" if steps[-1].step == 1 else f"{steps[-1].step} steps"
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


def _parameters(result: DescendResult, end: str) -> Table:
    """A row per element of each parameter: at the start and at the end."""
    first = result.steps[0].parameters
    blocks = [
        Block(last.numel(), (Places(last.shape, name), first[name].reshape(-1), last.reshape(-1)))
        for name, last in result.parameters.items()
    ]
    columns = (Column("parameter"), Column("at the start"), Column(end))
    return Table(columns, tuple(blocks), "Parameters", csv=False, ruled=True)
