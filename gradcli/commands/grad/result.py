"""What `grad` computes: a value and its gradients, once or at each point."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from gradcli.errors import UsageError
from gradcli.evaluate.closed_forms import of_product
from gradcli.results import Origin, Result, Subject, aside, by_row, origin, present, step_key

EXPLAINED = 20
"""Samples that are explained, at most."""


@dataclass(frozen=True)
class Intermediate:
    """A named step, the gradient that reached it, and with --jvp its tangent, all of one shape."""

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
    """A value and its gradient for each input, which is None if autograd returned None. With --jvp
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
        """The tangents of --jvp by input, each in the shape of its input; none without it."""
        return self.subjects[-1].directions

    def step_paths(self) -> dict[str, str]:
        """The gradients for the named steps."""
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
    """Value and gradients of many samples: a row has each sample, `value` and `gradients`."""

    rows_shown: ClassVar = 60

    rows: list[dict[str, Any]] = by_row()
    each: tuple[str, ...] = aside()

    def main(self) -> list[Tensor]:
        """The values, [samples]."""
        return [self.column("value")]

    def column(self, key: str) -> Tensor:
        """The samples or the values of all rows, stacked: [rows, ...]."""
        return torch.stack([row[key] for row in self.rows]) if self.rows else torch.empty(0)

    def origin(self, keys: Sequence[str]) -> Origin | None:
        """The origin of a value or a gradient in a row."""
        match keys:
            case ["rows", row, "gradients", name, *index] if row.isdigit():
                return origin(self.points[0].at(int(row)), "gradient", name, index)
            case ["rows", row, "value"] if row.isdigit():
                return origin(self.points[0].at(int(row)), "value", "", ())
        return None

    @property
    def explainable(self) -> bool:
        """Whether it has few enough samples for --explain."""
        return len(self.rows) <= EXPLAINED

    def explained(self) -> list[Subject]:
        """A subject for each sample."""
        (points,) = self.points
        if not self.explainable:
            raise UsageError(
                f"--explain follows at most {EXPLAINED} samples, and these are {points.total}",
                hint="give fewer samples, or leave out --each and give one",
            )
        subjects = []
        for i in range(points.total):
            name = ", ".join(f"{each}[{i}]" for each in self.each)
            subject = points.at(i)
            title = f"{self.expression} at {name}"
            subjects.append(subject._replace(name=name, title=title))
        return subjects
