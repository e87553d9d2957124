"""What `flow` computes: the gradient in every layer of a stack, or of a network."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from gradcli.evaluate.closed_forms import derivative
from gradcli.results import Result, Subject, aside, by_row, present

LAYERS = 11
"""Layers that are shown on the screen."""


@dataclass(frozen=True)
class LayerFlow:
    """One layer under one activation, layer 1 next to the input; all tensors are 0-d float64.

    `gradient_norm` is that of the gradient for z = W h + b over all samples. `mean` and `std` are
    those of the outputs; `saturated` is the share of outputs at which the activation's slope is at
    most a tenth of its largest.
    """

    layer: int
    activation: str
    gradient_norm: Tensor | None
    mean: Tensor
    std: Tensor | None
    saturated: Tensor | None


@dataclass(frozen=True)
class NetLayer:
    """One layer of the user's network; all tensors are 0-d float64, None where there is no number.

    `name` is its place in the expression, `module` its class, `activation` its name in the catalogue,
    `shape` that of its output. `gradient_norm` is that of the gradient for the output; `factor` is what
    the layer multiplies it by on its way back to the layer below; `weight_gradient_norm` is the norm of the
    gradient for its weights. `mean` and `std` are those of the output, `saturated` as in `LayerFlow`; of
    an activation that only switches a gradient on or off, `off` is the share of outputs where it is off.
    `dead` is the share of places in the output at which the slope is 0 for every sample.
    """

    layer: int
    name: str
    module: str
    activation: str | None
    shape: list[int]
    gradient_norm: Tensor | None
    factor: Tensor | None
    weight_gradient_norm: Tensor | None
    mean: Tensor
    std: Tensor | None
    saturated: Tensor | None
    off: Tensor | None
    dead: Tensor | None


@dataclass(frozen=True, kw_only=True)
class FlowResult(Result):
    """The gradient through a stack of layers under each activation, or through a network, and the
    factor per layer by the name of the activation or the network.
    """

    of_one_gradient: ClassVar = False
    rows_shown: ClassVar = LAYERS

    layers: list[Any] = by_row()
    """A LayerFlow for each layer and activation, or a NetLayer for each layer of the network."""
    verdict: str
    factors: dict[str, float | None]
    expression: str | None = present()
    """The user's network as it was understood, None for a stack."""
    flat: dict[str, float] = aside()
    """For each activation, or layer that is one, the largest slope that counts as saturated."""
    several: bool = aside(False)
    """Whether the last layer gives several results, of which the first counts."""
    plain: bool = aside(False)
    """Whether the layers are the parts of one nn.Sequential, each once."""

    @property
    def by_activation(self) -> dict[str, list[Any]]:
        """The layers of a stack under each activation."""
        return {n: [row for row in self.layers if row.activation == n] for n in self.factors}

    def main(self) -> list[Tensor]:
        """The norms, [activations, layers], or [layers] of a network."""
        none = torch.tensor(math.nan, dtype=torch.float64)
        norms = (row.gradient_norm for row in self.layers)
        stacked = torch.stack([none if norm is None else norm for norm in norms])
        return [stacked if self.expression else stacked.reshape(len(self.factors), -1)]

    def closed_form(self, subject: Subject, name: str) -> Tensor | None:
        """The slope of the layer's output, weighted by u, along d, 0-d: sum(u activation'(z) d), with
        u passed through the weights first if there are any; None if it runs a module.
        """
        if subject.program is not None:
            return None
        z, d, u = (subject.inputs[name] for name in ("z", "d", "u"))
        if "w" in subject.inputs:
            u = u @ subject.inputs["w"]
        if subject.call is not None:
            u = u * derivative(subject.call, {"x": z}, z)
        return (u * d).sum()
