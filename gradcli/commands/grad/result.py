"""What `grad` computes: a value and its gradients, once or at each point."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from gradcli.evaluate.closed_forms import of_product
from gradcli.results import Origin, Result, Subject, aside, by_row, origin, step_key


@dataclass(frozen=True)
class Intermediate:
    """A named step of an expression, and the gradient that reached it."""

    value: Tensor
    gradient: Tensor | None


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
    """A value and its gradient by each input, which is None if autograd returned None."""

    value: Tensor
    gradients: dict[str, Tensor | None]
    intermediates: dict[str, Intermediate]
    seed: str = aside()
    """What was differentiated if the value is not one number: `row 1`, `vjp`."""
    upstream: Tensor | None = aside(given=True)
    """The upstream gradient of --vjp."""

    def step_paths(self) -> dict[str, str]:
        """The gradients by the named steps."""
        return {name: f"intermediates.{name}.gradient" for name in self.intermediates}

    def origin(self, keys: Sequence[str]) -> Origin | None:
        """The origin of a value or gradient, also of a step's."""
        match keys:
            case ["intermediates", name, kind, *index]:
                return origin(self.subjects[0], kind, step_key(name), index)
        return super().origin(keys)

    def main(self) -> list[Tensor]:
        """The gradients, each in the shape of its input."""
        return [gradient for gradient in self.gradients.values() if gradient is not None]


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
