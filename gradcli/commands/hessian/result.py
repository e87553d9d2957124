"""What `hessian` computes."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from gradcli.results import Origin, Result

PointKind: TypeAlias = Literal["minimum", "maximum", "saddle", "degenerate"]


@dataclass(frozen=True, kw_only=True)
class SecondResult(Result):
    """In both results: the value, 0-d, and its gradients in the inputs' shapes, 0 off the path."""

    expression: str
    value: Tensor
    gradients: dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class ProductResult(SecondResult):
    """The Hessian's product with a direction by each input, in the input's shape."""

    hvp: dict[str, Tensor]

    @property
    def directions(self) -> Mapping[str, Tensor]:
        """The direction by input, in its shape; inputs without one are held constant."""
        return self.subjects[0].directions

    def main(self) -> list[Tensor]:
        """The products, each in the shape of its input."""
        return [*self.hvp.values()]

    def ledger_remarks(self) -> list[str]:
        """Which derivative the ledger shows."""
        return ["this is the gradient, and its derivative in the direction is the product"]


@dataclass(frozen=True, kw_only=True)
class HessianResult(SecondResult):
    """Second derivatives by each pair of inputs, of shape input.shape + input.shape.

    `eigenvalues` are those of the joint Hessian, ascending. `kind` is None off stationary points.
    """

    hessian: dict[str, dict[str, Tensor]]
    eigenvalues: Tensor
    stationary: bool
    kind: PointKind | None

    def main(self) -> list[Tensor]:
        """The blocks, each of shape input.shape + input.shape."""
        return [block for row in self.hessian.values() for block in row.values()]

    def origin(self, keys: Sequence[str]) -> Origin | None:
        """The origin of a value, of a gradient, or of a block of the Hessian."""
        match keys:
            case ["hessian", name, by, *index] if all(key.isdigit() for key in index):
                return Origin(self.subjects[0], "hessian", name, tuple(map(int, index)), by)
        return super().origin(keys)

    def ledger_remarks(self) -> list[str]:
        """Which derivative the ledger shows."""
        return ["this is the gradient, and its derivatives are the Hessian"]


def joint(blocks: Mapping[str, Mapping[str, Tensor]]) -> Tensor:
    """The blocks of a Hessian as one matrix, [elements of all inputs, elements of all inputs]."""
    sizes = {name: math.isqrt(row[name].numel()) for name, row in blocks.items()}
    rows = [
        torch.cat([block.reshape(sizes[a], sizes[b]) for b, block in row.items()], dim=1)
        for a, row in blocks.items()
    ]
    return torch.cat(rows)
