"""What `grad` computes: a value and its gradients, once or at each point."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from gradcli.evaluate.closed_forms import of_product
from gradcli.results import Origin, Result, Subject, aside, by_row, origin, present, step_key


@dataclass(frozen=True)
class Intermediate:
    """A named step of an expression, the gradient that reached it, and with --jvp its tangent."""

    value: Tensor
    gradient: Tensor | None
    tangent: Tensor | None = present()


@dataclass(frozen=True, kw_only=True)
class OfExpressionResult(Result):
    """The expression, and with --fn the closed form of its gradients."""

    expression: str

    def closed_form(self, subject: Subject, name: str) -> Tensor | None:
        """The catalogue's derivative chained through x*w + b, in the shape of the input."""
        call = subject.call
        return None if call is None else of_product(call, subject.inputs, subject.upstream, name)


@dataclass(frozen=True, kw_only=True)
class GradResult(OfExpressionResult):
    """A value and its gradient by each input, which is None if autograd returned None. With --jvp
    also the derivative in a direction, in the shape of the value; then there are no gradients if
    the value is not one number and none was chosen.
    """

    value: Tensor
    gradients: dict[str, Tensor | None] | None = present()
    intermediates: dict[str, Intermediate]
    jvp: Tensor | None = present()
    seed: str = aside()
    """What was differentiated if the value is not one number: `row 1`, `vjp`."""
    upstream: Tensor | None = aside(given=True)
    """The upstream gradient of --vjp."""

    @property
    def directions(self) -> Mapping[str, Tensor]:
        """The tangents of --jvp by input; none without it."""
        return self.subjects[-1].directions

    def step_paths(self) -> dict[str, str]:
        """The gradients by the named steps."""
        return {name: f"intermediates.{name}.gradient" for name in self.intermediates}

    def origin(self, keys: Sequence[str]) -> Origin | None:
        """The origin of a value or gradient, also of a step's, or of the jvp."""
        match keys:
            case ["jvp", *index]:
                return origin(self.subjects[-1], "jvp", "", index)
            case ["intermediates", _, "tangent", *_]:
                return None
            case ["intermediates", name, kind, *index]:
                return origin(self.subjects[0], kind, step_key(name), index)
        return super().origin(keys)

    def main(self) -> list[Tensor]:
        """The gradients, each in the shape of its input; the jvp if there are none."""
        found = [self.jvp] if self.gradients is None else self.gradients.values()
        return [tensor for tensor in found if tensor is not None]


@dataclass(frozen=True, kw_only=True)
class GradEachResult(OfExpressionResult):
    """Value and gradients along one 1-D input: a row has the point, `value` and `gradients`."""

    rows_shown: ClassVar = 60

    rows: list[dict[str, Any]] = by_row()
    each: str = aside()

    def main(self) -> list[Tensor]:
        """The values, [points]."""
        return [self.column("value")]

    def column(self, key: str) -> Tensor:
        """The points or the values of all rows, [rows]."""
        return torch.stack([row[key] for row in self.rows]) if self.rows else torch.empty(0)
