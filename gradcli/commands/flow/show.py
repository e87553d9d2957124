"""The tables of `flow`: the norms of all activations side by side with bars on one scale, and what
the layers give.
"""

import math
from typing import Any

import torch
from torch import Tensor

from gradcli.commands.flow.result import LAYERS, FlowResult
from gradcli.show.table import Block, Column, Table

BAR = 9
"""Characters of the longest bar."""
_SATURATED = (
    "saturated: the share of outputs where the activation's slope is at most a tenth of its largest"
)


def tables(result: FlowResult, digits: int) -> list[Table]:
    """The norms of all activations side by side with bars on one scale, what the layers give, and
    all of it for CSV.
    """
    names = list(result.factors)
    by_name = {name: [row for row in result.layers if row.activation == name] for name in names}
    layers = [row.layer for row in by_name[names[0]]]
    norms = torch.stack([row.gradient_norm for row in result.layers])
    low, high = _scale(norms)
    columns: list[Column] = [Column("layer")]
    cells: list[Any] = [layers]
    outputs = [Column("layer")]
    values: list[Any] = [layers]
    for name, rows in by_name.items():
        norm = torch.stack([row.gradient_norm for row in rows])
        columns += [Column(name), Column("#")]
        cells += [norm, [_bar(each, low, high) for each in norm.tolist()]]
        outputs += [Column(f"{name}: mean"), Column("std"), Column("saturated")]
        values += [
            torch.stack([getattr(row, key) for row in rows]) for key in ("mean", "std", "saturated")
        ]
    block = Block(len(layers), tuple(cells))
    title = f"Norm of the gradient that reaches each of {len(layers)} layers; layer 1 is next to the input"
    scale = (
        f"bars: log scale from {low:.2g} to {high:.2g}"
        if high
        else "no bars: no norm is finite and above 0"
    )
    caption = "\n".join([*result.verdict.split("; "), f"{scale}; {result.dtype}"])
    lower = Block(len(layers), tuple(values))
    return [
        Table(tuple(columns), (block,), title, caption, csv=False, rows=LAYERS),
        Table(tuple(outputs), (lower,), "Outputs of each layer", _SATURATED, csv=False, more=True),
        _for_csv(result),
    ]


def _for_csv(result: FlowResult) -> Table:
    keys = ("gradient_norm", "mean", "std", "saturated")
    columns = [Column("layer"), Column("activation"), *map(Column, keys)]
    cells: list[Any] = [
        [row.layer for row in result.layers],
        [row.activation for row in result.layers],
    ]
    cells += [torch.stack([getattr(row, key) for row in result.layers]) for key in keys]
    return Table(tuple(columns), (Block(len(result.layers), tuple(cells)),), screen=False)


def _scale(norms: Tensor) -> tuple[float, float]:
    """The smallest and the largest norm that a bar can show; 0 and 0 where there is none."""
    fit = [norm for norm in norms.tolist() if 0 < norm < math.inf]
    return (min(fit), max(fit)) if fit else (0.0, 0.0)


def _bar(norm: float, low: float, high: float) -> str:
    """A bar from one character for `low` to all of them for `high`, by the logarithm."""
    if not 0 < norm < math.inf:
        return ""
    part = math.log(norm / low) / math.log(high / low) if high > low else 1.0
    return "#" * (1 + round(part * (BAR - 1)))
