"""The tables of `descend`: a row for each step, and the value over the steps as a curve."""

import torch

from gradcli.commands.descend.result import DescendResult
from gradcli.show.pieces import FilledColumn, by_element, one_number, shapes_text, table_of
from gradcli.show.table import LineChart, Table

ROWS = 11
"""Steps on the screen."""

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
    columns: list[FilledColumn] = [("step", [step.step for step in steps]), ("value", values)]
    for name in result.parameters:
        columns += by_element(name, [step.parameters[name] for step in steps])
    count = "1 step" if steps[-1].step == 1 else f"{steps[-1].step} steps"
    end = f"{one_number(result.value, digits)} after {count} of {result.optimizer}"
    caption = f"stopped: {result.stopped}, {_ENDS[result.stopped]}; {shapes_text(result)}"
    table = table_of(len(steps), columns, f"{result.expression} = {end}", caption, rows=ROWS)
    drawn = int(values.isfinite().sum()) > 2
    return [table, LineChart(values, "value", "step")] if drawn else [table]
