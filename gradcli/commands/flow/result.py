"""What `flow` computes: the gradient in every layer of a stack."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gradcli.evaluate.closed_forms import derivative
from gradcli.results import Result, Subject, aside, by_row

LAYERS = 11
"""Layers that are shown on the screen."""


@dataclass(frozen=True)
class LayerFlow:
    """One layer under one activation, layer 1 next to the input; all tensors are 0-d float64.

    `gradient_norm` is that of the gradient by z = W h + b over all samples. `mean` and `std` are
    those of the outputs; `saturated` is the share of outputs at which the activation's slope is at
    most a tenth of its largest.
    """

    layer: int
    activation: str
    gradient_norm: Tensor
    mean: Tensor
    std: Tensor
    saturated: Tensor


@dataclass(frozen=True, kw_only=True)
class FlowResult(Result):
    """The gradient through a stack of layers, and the factor per layer for each activation."""

    of_one_gradient: ClassVar = False
    rows_shown: ClassVar = LAYERS

    layers: list[LayerFlow] = by_row()
    verdict: str
    factors: dict[str, float | None]
    flat: dict[str, float] = aside()
    """For each activation, the largest slope at which an output is saturated."""

    def main(self) -> list[Tensor]:
        """The norms, [activations, layers]."""
        norms = torch.stack([row.gradient_norm for row in self.layers])
        return [norms.reshape(len(self.factors), -1)]

    def closed_form(self, subject: Subject, name: str) -> Tensor | None:
        """The slope of the layer's output, weighted by u, along d: sum(u activation'(z) d), 0-d."""
        assert subject.call is not None
        z, d, u = (subject.inputs[name] for name in ("z", "d", "u"))
        if "w" in subject.inputs:
            u = u @ subject.inputs["w"]
        return (u * derivative(subject.call, {"x": z}, z) * d).sum()
