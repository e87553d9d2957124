"""What `plot` computes: curves over one range, or a surface over two."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from gradcli.catalogue.functions import Loss
from gradcli.evaluate.closed_forms import derivative, of_loss
from gradcli.evaluate.curves import Curve
from gradcli.results import Origin, Result, Subject, as_run, aside, given, origin

ROWS = 11
"""Points of a check that are shown on the screen."""


@dataclass(frozen=True, kw_only=True)
class Drawn(Result):
    """The functions that were drawn, each differentiated by whole ranges."""

    rows_shown: ClassVar = ROWS

    filled: tuple[str, ...] = aside()
    """The ranges given by their two ends."""
    functions: tuple[Subject, ...] = as_run(())


@dataclass(frozen=True, kw_only=True)
class PlotResult(Drawn):
    """Functions over one range x, [points], side by side."""

    x: Tensor = given()
    curves: list[Curve]
    along: str = aside()
    """The name of x."""

    def main(self) -> list[Tensor]:
        """The values of each curve, [points]."""
        return [curve.value for curve in self.curves]

    def gradient_paths(self) -> dict[str, str]:
        """The derivative of the only curve; `x` is already the path of the points."""
        known = len(self.curves) == 1 and self.curves[0].derivative is not None
        return {"derivative": "curves.0.derivative"} if known else {}

    def origin(self, keys: Sequence[str]) -> Origin | None:
        """Value or derivative of a curve at one point."""
        match keys:
            case ["curves", curve, kind, place] if place.isdigit():
                return origin(self.functions[int(curve)].at([int(place)]), kind, self.along, ())
        return None

    def closed_form(self, subject: Subject, name: str) -> Tensor | None:
        """The catalogue's derivative in the shape of x."""
        call, inputs = subject.call, subject.inputs
        if call is None:
            return None
        if isinstance(call.entry, Loss):
            return of_loss(call, inputs["x"], inputs["target"], "sum", subject.upstream)
        return derivative(call, {"x": inputs["x"]}, inputs["x"]).expand_as(inputs["x"])


@dataclass(frozen=True, kw_only=True)
class SurfaceResult(Drawn):
    """An expression over two ranges: `value` and gradients are [first points, second points]."""

    x: dict[str, Tensor] = given()
    value: Tensor
    gradients: dict[str, Tensor | None]
    expression: str = aside()

    def main(self) -> list[Tensor]:
        """The values, [points of the first range, points of the second]."""
        return [self.value]

    def origin(self, keys: Sequence[str]) -> Origin | None:
        """Value or gradient at one pair of points."""
        match keys:
            case ["value", first, second]:
                return origin(self.functions[0].at([int(first), int(second)]), "value", "", ())
            case ["gradients", name, first, second]:
                return origin(self.functions[0].at([int(first), int(second)]), "gradient", name, ())
        return None
