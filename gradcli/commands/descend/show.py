"""The tables of `descend`: a row for each step, and the value over the steps as a curve."""

from typing import Any

import torch

from gradcli.commands.descend.result import DescendResult
from gradcli.show import numbers
from gradcli.show.table import Block, Column, LineChart, Places, Table

ROWS = 11
"""Steps that are shown on the screen."""

_ENDS = {
    "steps": "all steps done",
    "tolerance": "no parameter moved further than --min-move",
    "diverged": "a number is not finite",
}
"""Why a descent ended, in words."""


def tables(result: DescendResult, digits: int) -> list[Table | LineChart]:
    """A row per step, and the value over the steps as a curve."""
    rows = result.steps
    value = torch.stack([row.value for row in rows])
    columns = [Column("step"), Column("value")]
    cells: list[Any] = [[row.step for row in rows], value]
    for name, first in rows[0].parameters.items():
        stacked = torch.stack([row.parameters[name] for row in rows]).reshape(len(rows), -1)
        columns += [Column(place) for place in Places(first.shape, name)]
        cells += list(stacked.unbind(1))
    last = numbers.significant(numbers.flat(result.value)[0], digits)
    count = "1 step" if rows[-1].step == 1 else f"{rows[-1].step} steps"
    title = f"{result.expression} = {last} after {count} of {result.optimizer}"
    shapes = "  ".join(f"{name} {numbers.shape_text(t)}" for name, t in result.inputs.items())
    caption = (
        f"stopped: {result.stopped}, {_ENDS[result.stopped]}; {result.dtype}, shapes: {shapes}"
    )
    table = Table(tuple(columns), (Block(len(rows), tuple(cells)),), title, caption, rows=ROWS)
    return (
        [table, LineChart(value, "value", "step")] if int(value.isfinite().sum()) > 2 else [table]
    )
