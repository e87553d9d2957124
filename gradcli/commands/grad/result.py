"""What `grad` computes: a value and its gradients, whole or point by point."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from gradcli.evaluate.closed_forms import of_product
from gradcli.results import Inputs, Result, Subject, aside, by_row


@dataclass(frozen=True)
class Intermediate:
    """A named step of an expression, and the gradient that reached it."""

    value: Tensor
    gradient: Tensor | None


@dataclass(frozen=True, kw_only=True)
class OfExpressionResult(Result):
    """What both have: the expression, and with --fn the closed form of x*w + b."""

    expression: str

    def closed_form(
        self, subject: Subject, inputs: Inputs, upstream: Tensor | None, name: str
    ) -> Tensor | None:
        """The catalogue's derivative chained through x*w + b, in the shape of the input."""
        return None if subject.call is None else of_product(subject.call, inputs, upstream, name)


@dataclass(frozen=True, kw_only=True)
class GradResult(OfExpressionResult):
    """A value and its gradient by each input; None where autograd returned None."""

    value: Tensor
    gradients: dict[str, Tensor | None]
    intermediates: dict[str, Intermediate]
    seed: str = aside()
    """What was differentiated where the value is not one number: `row 1`, `vjp`."""
    upstream: Tensor | None = aside(given=True)
    """The upstream gradient of --vjp."""

    def main(self) -> list[Tensor]:
        """The gradients, each in the shape of its input."""
        return [gradient for gradient in self.gradients.values() if gradient is not None]

    def gradient_paths(self) -> dict[str, str]:
        """The gradients by name."""
        return {name: f"gradients.{name}" for name in self.gradients}


@dataclass(frozen=True, kw_only=True)
class GradEachResult(OfExpressionResult):
    """Value and gradients point by point along one 1-D input: each row holds the point, `value` and
    `gradients`.
    """

    rows_shown: ClassVar = 60

    rows: list[dict[str, Any]] = by_row()
    each: str = aside()

    def main(self) -> list[Tensor]:
        """The values, [points]."""
        return [self.column("value")]

    def column(self, key: str) -> Tensor:
        """The point or the value of every row, [rows]."""
        return torch.stack([row[key] for row in self.rows]) if self.rows else torch.empty(0)
