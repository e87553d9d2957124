"""`flow`: a deep stack of linear layers under several activations, and the gradient that reaches each layer."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from gradcli import core
from gradcli.compute.job import Job, seed
from gradcli.errors import SizeError
from gradcli.evaluate import functions
from gradcli.evaluate.failures import wants_memory
from gradcli.evaluate.refusals import translated
from gradcli.requests.flow import Flow
from gradcli.results import FlowResult, LayerFlow, Stack
from gradcli.text.call import Call

BATCH = 64
"""Samples that go through the stack together."""
FLAT = 0.1
"""An output is saturated where the activation's slope is at most this part of its largest slope."""
STEADY = (0.9, 1.1)
"""A factor per layer between these is steady: over 20 layers that is a factor 8 at most."""

INITS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "xavier": nn.init.xavier_normal_,
    "kaiming": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
    "normal": nn.init.normal_,
}
"""How weights are drawn anew; `default` leaves what nn.Linear has drawn."""


def flow(request: Flow, job: Job) -> FlowResult:
    """The gradient in every layer of one stack, under one activation after the other.

    The stack, its input and the gradient that enters at its top are drawn once: what differs is the activation alone.
    """
    flat = {call.text: _flat(call, job) for call in request.activations}
    seed(request.seed, job.device)  # random activations have drawn
    try:
        layers = _stack(request, job)
        x, upstream = (torch.randn(BATCH, request.width, device="cpu").to(job.device) for _ in range(2))
        found = [row for call in request.activations for row in _through(layers, call, x, upstream, flat[call.text])]
    except RuntimeError as error:
        if wants_memory(error):
            raise SizeError(
                "there is not enough memory for the stack", cure="a smaller --width, or fewer --layers"
            ) from None
        raise
    by_name = {name: [row for row in found if row.activation == name] for name in flat}
    factors = {name: _factor(rows) for name, rows in by_name.items()}
    for name, rows in by_name.items():
        if lost := sum(1 for row in rows if not float(row.gradient_norm)):
            job.note(
                "vanishing",
                f"{name}: the gradient of {lost} of {request.layers} layers is exactly 0 in {request.dtype}",
            )
    verdict = "; ".join(_verdict(name, factors[name], rows, request.dtype) for name, rows in by_name.items())
    return FlowResult(
        **job.header("flow", {}), layers=found, verdict=verdict, factors=factors, flat=flat,
        stack=Stack(layers, x, upstream), calls=request.activations,
    )  # fmt: skip


def _stack(request: Flow, job: Job) -> list[nn.Linear]:
    """The linear layers, their weights drawn as `request` says, on the CPU: they are the same on every device."""
    layers = [nn.Linear(request.width, request.width, device="cpu") for _ in range(request.layers)]
    if request.init != "default":
        for layer in layers:
            INITS[request.init](layer.weight)
            nn.init.zeros_(layer.bias)
    return [layer.to(job.device) for layer in layers]


def _flat(call: Call, job: Job) -> float:
    """The slope up to which an output of the activation counts as saturated."""
    z = torch.linspace(-10, 10, 2001, dtype=job.dtype, device=job.device)
    with translated(call.text, {}):
        slope = core.slopes(functions.activation(call), z)[1]
    return float(f"{FLAT * float(slope.abs().max()):.3g}")


def _through(layers: list[nn.Linear], call: Call, x: Tensor, upstream: Tensor, flat: float) -> list[LayerFlow]:
    """What there is to say of every layer, the one next to the input first."""
    # The gradient by z = W h + b is looked at. That by W would hide what happens: it gains going back what h loses going
    # forward, and through ReLUs it is nearly the same in all layers whatever W is.
    activation = functions.activation(call)
    h, passed = x, []
    for layer in layers:
        z = layer(h)
        h = activation(z)
        passed.append((z, h))
    sums = {str(number): z for number, (z, _) in enumerate(passed, 1)}
    slopes = core.gradients((h * upstream).mean(), sums, keep=True)
    rows = []
    for (number, gradient), (z, h) in zip(slopes.items(), passed, strict=True):
        slope = core.gradients(h.sum(), {"z": z}, keep=True)["z"]
        assert gradient is not None
        assert slope is not None
        values, saturated = h.detach().double(), (slope.abs() <= flat).double().mean()
        norm = gradient.double().norm()  # in float32 the squares of small numbers are 0
        rows.append(LayerFlow(int(number), call.text, norm, values.mean(), values.std(), saturated))
    return rows


def _factor(rows: list[LayerFlow]) -> float | None:
    """By what a layer multiplies the gradient on its way back, on the average; None where two norms are not to be had."""
    norms = [(row.layer, norm) for row in rows if 0 < (norm := float(row.gradient_norm)) < math.inf]
    if len(norms) < 2:
        return None
    (first, near_input), (last, near_loss) = norms[0], norms[-1]
    return math.exp((math.log(near_input) - math.log(near_loss)) / (last - first))


def _verdict(name: str, factor: float | None, rows: list[LayerFlow], dtype: str) -> str:
    if factor is None:
        finite = all(math.isfinite(float(row.gradient_norm)) for row in rows)
        return f"{name}: {'vanishing, the gradient is 0' if finite else 'exploding'} in {dtype}"
    low, high = STEADY
    word = "vanishing" if factor < low else "exploding" if factor > high else "steady"
    return f"{name}: {word}, a factor {factor:.3g} per layer"
