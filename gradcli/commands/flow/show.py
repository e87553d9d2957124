"""The tables of `flow`: the norms of all activations, with bars on one scale, and the outputs."""

import math
from dataclasses import fields
from typing import Any

from torch import Tensor

from gradcli.commands.flow.result import LAYERS, FlowResult
from gradcli.show.pieces import FilledColumn, table_of
from gradcli.show.table import Table

ROWS = 40
"""Layers of a network that are shown on the screen."""
BAR = 9
"""Characters of the longest bar."""
_REMARKS = {
    "saturated": "saturated: the share of outputs where the activation's slope is at most a tenth of its largest",
    "off": "off: the share of outputs where the slope is 0, of an activation whose slope is 0 or 1",
    "dead": "dead: the share of places where the slope is 0 for every sample",
}
"""What the shares of outputs mean."""
_NUMBERS = {
    "gradient_norm": "gradient",
    "factor": "factor",
    "weight_gradient_norm": "by weights",
    **{key: key for key in ("mean", "std", *_REMARKS)},
}
"""The numbers of a layer of a network, and the headings of their columns."""
_KEYS = ("gradient_norm", "mean", "std", "saturated")


def tables(result: FlowResult, digits: int) -> list[Table]:
    """The norms with bars, the outputs of each layer, and all of it for CSV."""
    return _of_net(result) if result.expression else _of_stack(result)


def _of_net(result: FlowResult) -> list[Table]:
    """The layers of the user's network; a column without a number is left out."""
    rows = result.layers
    cells = {key: column(rows, key) for key in _NUMBERS}
    low, high = _scale(cells["gradient_norm"])
    bars = [_bar(norm, low, high) for norm in cells["gradient_norm"]]

    def columns(*keys: str) -> list[FilledColumn]:
        return [(_NUMBERS[key], cells[key]) for key in keys if {*cells[key]} != {None}]

    named: list[FilledColumn] = [
        ("layer", column(rows, "name")),
        ("module", column(rows, "module")),
    ]
    norms = [*columns("gradient_norm"), ("#", bars), *columns("factor", "weight_gradient_norm")]
    outputs = [("shape", column(rows, "shape")), *columns("mean", "std", *_REMARKS)]
    title = f"Gradient through {result.expression}"
    caption = f"{result.verdict}\n{_bars(low, high)}; {result.dtype}"
    remarks = "\n".join(remark for key, remark in _REMARKS.items() if columns(key))
    layout: dict[str, Any] = {"keys": 2, "csv": False, "rows": ROWS}
    return [
        table_of(len(rows), [*named, *norms], title, caption, **layout),
        table_of(len(rows), [*named, *outputs], "Outputs of each layer", remarks, **layout),
        _for_csv(rows),
    ]


def _of_stack(result: FlowResult) -> list[Table]:
    by_name = result.by_activation
    layers = [row.layer for row in next(iter(by_name.values()))]
    low, high = _scale(column(result.layers, "gradient_norm"))
    norms: list[FilledColumn] = [("layer", layers)]
    outputs: list[FilledColumn] = [("layer", layers)]
    for name, rows in by_name.items():
        norm, mean, std, saturated = (column(rows, key) for key in _KEYS)
        norms += [(name, norm), ("#", [_bar(each, low, high) for each in norm])]
        outputs += [(f"{name}: mean", mean), ("std", std), ("saturated", saturated)]
    count = len(layers)
    title = (
        f"Norm of the gradient that reaches each of {count} layers; layer 1 is next to the input"
    )
    caption = "\n".join([*result.verdict.split("; "), f"{_bars(low, high)}; {result.dtype}"])
    return [
        table_of(count, norms, title, caption, csv=False, rows=LAYERS),
        table_of(
            count, outputs, "Outputs of each layer", _REMARKS["saturated"], csv=False, more=True
        ),
        _for_csv(result.layers),
    ]


def _for_csv(rows: list[Any]) -> Table:
    keys = [field.name for field in fields(rows[0])]
    return table_of(len(rows), [(key, column(rows, key)) for key in keys], screen=False)


def column(rows: list[Any], key: str) -> list[Any]:
    """The cells of a key: numbers, texts, None where there is none."""
    cells = (getattr(row, key) for row in rows)
    kinds = {list: str, Tensor: float}
    return [kinds[type(x)](x) if type(x) in kinds else x for x in cells]


def _scale(norms: list[float | None]) -> tuple[float, float]:
    """The smallest and the largest norm that a bar can show; 0 and 0 if there is none."""
    shown = [norm for norm in norms if norm is not None and 0 < norm < math.inf]
    return (min(shown), max(shown)) if shown else (0.0, 0.0)


def _bars(low: float, high: float) -> str:
    """What the bars mean."""
    if not high:
        return "no bars: no norm is finite and above 0"
    return f"bars: log scale from {low:.2g} to {high:.2g}"


def _bar(norm: float | None, low: float, high: float) -> str:
    """A bar of one character for `low` to BAR for `high`, by the logarithm."""
    if norm is None or not 0 < norm < math.inf:
        return ""
    part = math.log(norm / low) / math.log(high / low) if high > low else 1.0
    return "#" * (1 + round(part * (BAR - 1)))
