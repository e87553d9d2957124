"""The tables of `flow`: the norms of all activations, with bars on one scale, and the outputs."""

import math

import torch
from torch import Tensor

from gradcli.commands.flow.result import LAYERS, FlowResult, LayerFlow
from gradcli.show.pieces import FilledColumn, table_of
from gradcli.show.table import Table

BAR = 9
"""Characters of the longest bar."""
_SATURATED = (
    "saturated: the share of outputs where the activation's slope is at most a tenth of its largest"
)
_KEYS = ("gradient_norm", "mean", "std", "saturated")


def tables(result: FlowResult, digits: int) -> list[Table]:
    """The norms side by side with bars, the outputs of each layer, and all of it for CSV."""
    by_name = {
        name: [row for row in result.layers if row.activation == name] for name in result.factors
    }
    layers = [row.layer for row in next(iter(by_name.values()))]
    low, high = _scale(_column(result.layers, "gradient_norm"))
    norms: list[FilledColumn] = [("layer", layers)]
    outputs: list[FilledColumn] = [("layer", layers)]
    for name, rows in by_name.items():
        norm, mean, std, saturated = (_column(rows, key) for key in _KEYS)
        norms += [(name, norm), ("#", [_bar(each, low, high) for each in norm.tolist()])]
        outputs += [(f"{name}: mean", mean), ("std", std), ("saturated", saturated)]
    count = len(layers)
    title = (
        f"Norm of the gradient that reaches each of {count} layers; layer 1 is next to the input"
    )
    scale = "no bars: no norm is finite and above 0"
    if high:
        scale = f"bars: log scale from {low:.2g} to {high:.2g}"
    caption = "\n".join([*result.verdict.split("; "), f"{scale}; {result.dtype}"])
    return [
        table_of(count, norms, title, caption, csv=False, rows=LAYERS),
        table_of(count, outputs, "Outputs of each layer", _SATURATED, csv=False, more=True),
        _for_csv(result.layers),
    ]


def _for_csv(rows: list[LayerFlow]) -> Table:
    columns: list[FilledColumn] = [
        ("layer", [row.layer for row in rows]),
        ("activation", [row.activation for row in rows]),
        *((key, _column(rows, key)) for key in _KEYS),
    ]
    return table_of(len(rows), columns, screen=False)


def _column(rows: list[LayerFlow], key: str) -> Tensor:
    return torch.stack([getattr(row, key) for row in rows])


def _scale(norms: Tensor) -> tuple[float, float]:
    """The smallest and the largest norm that a bar can show; 0 and 0 if there is none."""
    shown = [norm for norm in norms.tolist() if 0 < norm < math.inf]
    return (min(shown), max(shown)) if shown else (0.0, 0.0)


def _bar(norm: float, low: float, high: float) -> str:
    """A bar of one character for `low` to BAR for `high`, by the logarithm."""
    if not 0 < norm < math.inf:
        return ""
    part = math.log(norm / low) / math.log(high / low) if high > low else 1.0
    return "#" * (1 + round(part * (BAR - 1)))
