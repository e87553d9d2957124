"""What both kinds of flow share: how a gradient is measured and judged, and how weights are drawn."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from gradcli import core
from gradcli.evaluate import implementations
from gradcli.evaluate.job import Job
from gradcli.evaluate.refusals import translated
from gradcli.language.calls import Call

FLAT = 0.1
"""An output is saturated where the activation's slope is at most this part of its largest slope."""
STEADY = (0.9, 1.1)
"""A factor per layer between these is steady: over 20 layers the gradient changes 8-fold at most."""

TRIED = 2**22
"""Weights, at most, for which the other initialisations are tried."""

INITS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "xavier": ("xavier_normal_", {}),
    "kaiming": ("kaiming_normal_", {"nonlinearity": "relu"}),
    "normal": ("normal_", {}),
}
"""The function of nn.init and its arguments; `default` keeps the weights that PyTorch drew."""
IN_TURN = ("kaiming", "xavier", "default", "normal")
"""The ways to draw weights, in the order in which they are tried."""


def initialise(layer: nn.Module, init: str) -> None:
    """Draw the weight of a layer anew, [outputs, inputs, ...], and set its bias to 0."""
    function, arguments = INITS[init]
    drawn = getattr(nn.init, function)(torch.empty(layer.weight.shape, device="cpu"), **arguments)  # type: ignore[arg-type]
    with torch.no_grad():
        layer.weight.copy_(drawn)  # type: ignore[operator]
        if isinstance(layer.bias, Tensor):
            layer.bias.zero_()


def norm(*gradients: Tensor | None) -> Tensor:
    """The norm of all elements in float64, 0-d: in float32 the squares of small numbers are 0."""
    norms = [torch.linalg.vector_norm(g.double()) for g in gradients if g is not None]
    whole: Tensor = norms[0] if len(norms) == 1 else torch.linalg.vector_norm(torch.stack(norms))
    return whole


def is_steady(factor: float) -> bool:
    """Whether a factor per layer keeps a gradient about as it is; NaN does not."""
    return STEADY[0] <= factor <= STEADY[1]


def word(factor: float) -> str:
    """What a factor per layer does to a gradient."""
    return "steady" if is_steady(factor) else "vanishing" if factor < 1 else "exploding"


def flat_slope(call: Call, job: Job) -> float:
    """The largest slope at which an output of the activation counts as saturated."""
    z = torch.linspace(-10, 10, 2001, dtype=job.dtype, device=job.device)
    with translated(call.text, {}):
        slope = core.slopes(implementations.activation(call), z)[1]
    return float(f"{FLAT * float(slope.abs().max()):.3g}")


def slope_of(h: Tensor, z: Tensor) -> Tensor:
    """The slope of an activation whose recorded outputs are `h` at its inputs `z`, in the same shape."""
    slope = core.gradients(h.sum(), {"z": z}, keep=True)["z"]
    assert slope is not None
    return slope


NORM = "each norm is the slope of the loss along the layer's own gradient, computed through the next layer"


def along(
    z: Tensor, slope: Tensor | None, upstream: Tensor | None
) -> tuple[dict[str, Tensor], float]:
    """The inputs t, z, d and u of an expression of z + t*d, which is weighted by u: t is the distance
    along `slope`, which has the shape of z. And the size of the norm when the slope by t is 1.

    t is in units of the largest z: at 1e40 a step of 1 would be lost in rounding.
    """
    z, d = z.detach(), slope
    d = torch.ones_like(z) if d is None or not bool(d.any()) else d
    u = torch.zeros_like(z) if upstream is None else upstream
    size, reach = float(u.norm()) or 1.0, float(z.abs().max()) or 1.0
    return {"t": z.new_zeros(()), "z": z, "d": d * (reach / d.norm()), "u": u / size}, size / reach
