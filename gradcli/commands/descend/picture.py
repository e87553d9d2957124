"""The picture of `descend` in a file: the value over the steps, and where the parameters went."""

from collections.abc import Sequence
from itertools import product

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradcli.catalogue.ranges import CURVE, SURFACE
from gradcli.commands.descend.result import DescendResult
from gradcli.commands.descend.show import MANY, counted
from gradcli.show import numbers
from gradcli.show.pictures import figure
from gradcli.show.pieces import by_element

MARGIN = 0.25
"""The part of a path's extent that is shown beyond each end of it."""
NARROW = 0.1
"""The least extent of a path in one parameter, as a part of that in the other."""


def picture(result: DescendResult) -> Figure:
    """The value over the steps. Above it the path of one or two numbers on the curve or the contours
    of the function, or a few numbers over the steps.
    """
    steps = [step.step for step in result.steps]
    values = numbers.flat(torch.stack([step.value for step in result.steps]))
    size = sum(tensor.numel() for tensor in result.parameters.values())
    paths: dict[str, Sequence[float]] = {
        str(name): numbers.flat(column)
        for name in (result.parameters if size < MANY else ())
        for name, column in by_element(name, [step.parameters[name] for step in result.steps])
    }
    on_function = result.values_at is not None and result.stopped != "diverged"
    contours = on_function and len(paths) == 2
    ratios = (5, 2) if contours else None
    drawn, (*above, below) = figure.panels(
        2 if paths else 1, 7.6 if contours else 6 if paths else 4.2, ratios=ratios
    )
    for panel in above:
        if on_function:
            _on_function(panel, result, paths, values)
        else:
            figure.series(panel, steps, [*paths.items()])
    figure.series(below, steps, [("", values)])
    below.set_ylabel("value")
    below.set_xlabel("step")
    return drawn


def _on_function(
    panel: Axes, result: DescendResult, paths: dict[str, Sequence[float]], values: Sequence[float]
) -> None:
    """The path on the curve of the function of one number, or on the contours of one of two."""
    assert result.values_at
    extents = [max(path) - min(path) for path in paths.values()]
    margins = [MARGIN * max(extent, NARROW * max(extents)) or 1.0 for extent in extents]
    steps = CURVE if len(paths) == 1 else 2 * SURFACE
    axes = [
        np.linspace(min(path) - margin, max(path) + margin, steps + 1).tolist()
        for path, margin in zip(paths.values(), margins, strict=True)
    ]
    found = result.values_at([*product(*axes)])
    names, (x, *rest) = [*paths], paths.values()
    y = rest[0] if rest else values
    if rest:
        figure.contours(panel, axes[0], axes[1], np.reshape(found, (len(axes[0]), -1)).T)
    else:
        figure.line(panel, axes[0], found, "value")
    figure.path(panel, x, y, f"after {counted(len(values) - 1)}")
    panel.set_xlabel(names[0])
    panel.set_ylabel([*names, "value"][1])
