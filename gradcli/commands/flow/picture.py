"""The picture of `flow` in a file: the norm of the gradient in each layer, on a log scale."""

from matplotlib.figure import Figure

from gradcli.commands.flow.result import FlowResult
from gradcli.commands.flow.show import column
from gradcli.show.pictures import figure

NAMED = 24
"""Layers of a network that are named below the picture."""


def picture(result: FlowResult) -> Figure:
    """A line for each activation; for a network one by the outputs of its layers, one by the weights."""
    drawn, (panel,) = figure.panels(1, 4.2)
    rows = result.layers
    named = _of_network(result) if result.expression else _of_stack(result)
    layers = [row.layer for row in rows[: len(named[0][1])]]
    figure.series(panel, layers, named, log=True)
    panel.set_ylabel("norm of the gradient")
    if result.expression and len(layers) <= NAMED:
        names = [f"{row.name} {row.module}" for row in rows]
        slant = 30 if len(layers) <= NAMED / 2 else 90
        panel.set_xticks(
            layers, names, rotation=slant, ha="right", va="center", rotation_mode="anchor"
        )
    else:
        panel.set_xlabel("layer, 1 is next to the input")
    return drawn


def _of_stack(result: FlowResult) -> figure.Series:
    return [
        (_with_factor(name, result.factors[name]), column(rows, "gradient_norm"))
        for name, rows in result.by_activation.items()
    ]


def _of_network(result: FlowResult) -> figure.Series:
    (factor,) = result.factors.values()
    return [
        (_with_factor("by the output", factor), column(result.layers, "gradient_norm")),
        ("by the weights", column(result.layers, "weight_gradient_norm")),
    ]


def _with_factor(name: str, factor: float | None) -> str:
    return name if factor is None else f"{name}, factor {factor:.3g} per layer"
