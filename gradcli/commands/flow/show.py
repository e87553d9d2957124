"""The tables of `flow`: the norms of all activations, with bars on one scale, and the outputs."""

import math
from typing import Any

import torch
from torch import Tensor

from gradcli.commands.flow.result import LAYERS, FlowResult, LayerFlow, NetLayer, NetResult
from gradcli.show.pieces import FilledColumn, table_of
from gradcli.show.table import Table

ROWS = 40
"""Layers of a network that are shown on the screen."""
BAR = 9
"""Characters of the longest bar."""
_SATURATED = (
    "saturated: the share of outputs where the activation's slope is at most a tenth of its largest"
)
_DEAD = "dead: the share of places where the slope is 0 for every sample"
_NUMBERS = {
    "gradient_norm": "gradient",
    "factor": "factor",
    "weight_gradient_norm": "by weights",
    "mean": "mean",
    "std": "std",
    "saturated": "saturated",
    "dead": "dead",
}
"""The numbers of a layer of a network, and the headings of their columns."""
_KEYS = ("gradient_norm", "mean", "std", "saturated")


def tables(result: FlowResult | NetResult, digits: int) -> list[Table]:
    """The norms with bars, the outputs of each layer, and all of it for CSV."""
    return _of_net(result) if isinstance(result, NetResult) else _of_stack(result)


def _of_net(result: NetResult) -> list[Table]:
    """The layers of the user's network; a column without a number is left out."""
    rows = result.layers
    cells = {key: _optional(rows, key) for key in _NUMBERS}
    low, high = _scale([norm for norm in cells["gradient_norm"] if norm is not None])
    bars = ["" if norm is None else _bar(norm, low, high) for norm in cells["gradient_norm"]]

    def columns(*keys: str) -> list[FilledColumn]:
        return [
            (_NUMBERS[key], cells[key]) for key in keys if any(x is not None for x in cells[key])
        ]

    named: list[FilledColumn] = [
        ("layer", [row.name for row in rows]),
        ("module", [row.module for row in rows]),
    ]
    shapes: FilledColumn = ("shape", [str(row.shape) for row in rows])
    csv: list[FilledColumn] = [
        ("layer", [row.layer for row in rows]),
        ("name", [row.name for row in rows]),
        ("module", [row.module for row in rows]),
        ("activation", [row.activation for row in rows]),
        shapes,
        *((key, cells[key]) for key in _NUMBERS),
    ]
    norms = [*columns("gradient_norm"), ("#", bars), *columns("factor", "weight_gradient_norm")]
    title = f"Gradient through {result.expression}"
    caption = f"{result.verdict}\n{_bars(low, high)}; {result.dtype}"
    outputs = [shapes, *columns("mean", "std", "saturated", "dead")]
    remark = _SATURATED + (f"\n{_DEAD}" if len(columns("dead")) else "")
    layout: dict[str, Any] = {"keys": 2, "csv": False, "rows": ROWS}
    return [
        table_of(len(rows), [*named, *norms], title, caption, **layout),
        table_of(len(rows), [*named, *outputs], "Outputs of each layer", remark, **layout),
        table_of(len(rows), csv, screen=False),
    ]


def _optional(rows: list[NetLayer], key: str) -> list[float | None]:
    numbers = (getattr(row, key) for row in rows)
    return [None if number is None else float(number) for number in numbers]


def _of_stack(result: FlowResult) -> list[Table]:
    by_name = {
        name: [row for row in result.layers if row.activation == name] for name in result.factors
    }
    layers = [row.layer for row in next(iter(by_name.values()))]
    low, high = _scale(_column(result.layers, "gradient_norm").tolist())
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
    caption = "\n".join([*result.verdict.split("; "), f"{_bars(low, high)}; {result.dtype}"])
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


def _scale(norms: list[float]) -> tuple[float, float]:
    """The smallest and the largest norm that a bar can show; 0 and 0 if there is none."""
    shown = [norm for norm in norms if 0 < norm < math.inf]
    return (min(shown), max(shown)) if shown else (0.0, 0.0)


def _bars(low: float, high: float) -> str:
    """What the bars mean."""
    if not high:
        return "no bars: no norm is finite and above 0"
    return f"bars: log scale from {low:.2g} to {high:.2g}"


def _bar(norm: float, low: float, high: float) -> str:
    """A bar of one character for `low` to BAR for `high`, by the logarithm."""
    if not 0 < norm < math.inf:
        return ""
    part = math.log(norm / low) / math.log(high / low) if high > low else 1.0
    return "#" * (1 + round(part * (BAR - 1)))
