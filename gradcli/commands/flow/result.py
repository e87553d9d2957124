"""What `flow` computes: the gradient in every layer of a stack."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gradcli.evaluate.closed_forms import derivative
from gradcli.results import Inputs, Result, Subject, aside, by_row

LAYERS = 11
"""Layers that are shown on the screen."""


@dataclass(frozen=True)
class LayerFlow:
    """One layer under one activation, layer 1 next to the input.

    `gradient_norm` is that by the layer's z = W h + b over all samples, in float64. `mean` and
    `std` are those of the layer's outputs, `saturated` is the share of them where the activation's
    slope is at most a tenth of its largest.
    """

    layer: int
    activation: str
    gradient_norm: Tensor
    mean: Tensor
    std: Tensor
    saturated: Tensor


@dataclass(frozen=True, kw_only=True)
class FlowResult(Result):
    """The gradient through a stack of layers; `factors` hold by what each layer multiplies it on
    its way back.
    """

    of_one_gradient: ClassVar = False
    rows_shown: ClassVar = LAYERS

    layers: list[LayerFlow] = by_row()
    verdict: str
    factors: dict[str, float | None]
    flat: dict[str, float] = aside()
    """For each activation the slope up to which an output counts as saturated."""

    def main(self) -> list[Tensor]:
        """The norms, [activations, layers]."""
        return [
            torch.stack([row.gradient_norm for row in self.layers]).reshape(len(self.factors), -1)
        ]

    def closed_form(
        self, subject: Subject, inputs: Inputs, upstream: Tensor | None, name: str
    ) -> Tensor | None:
        """How the layer's output, weighed by u, changes as z goes along d: sum over (u *
        activation'(z) * d), 0-d.
        """
        assert subject.call is not None
        u = inputs["u"] @ inputs["w"] if "w" in inputs else inputs["u"]
        return (u * derivative(subject.call, {"x": inputs["z"]}, inputs["z"]) * inputs["d"]).sum()
