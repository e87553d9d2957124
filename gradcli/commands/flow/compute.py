"""`flow`: a deep stack of linear layers under several activations, and the gradient that reaches
each layer.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gradcli import core
from gradcli.commands.flow.request import Flow
from gradcli.commands.flow.result import FlowResult, LayerFlow
from gradcli.errors import SizeError
from gradcli.evaluate import implementations
from gradcli.evaluate.failures import is_out_of_memory
from gradcli.evaluate.job import Job, once_more, seed
from gradcli.evaluate.refusals import translated
from gradcli.language.calls import Call
from gradcli.results import Points, Subject

BATCH = 64
"""Samples that go through the stack together."""
FLAT = 0.1
"""An output is saturated where the activation's slope is at most this part of its largest slope."""
STEADY = (0.9, 1.1)
"""A factor per layer between these is steady: over 20 layers that is a factor 8 at most."""

TRIED = 2**22
"""Up to so many weights other ways to draw them are tried."""

INITS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "xavier": nn.init.xavier_normal_,
    "kaiming": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
    "normal": nn.init.normal_,
}
"""How weights are drawn again; `default` leaves what nn.Linear has drawn."""


class Stack(NamedTuple):
    """What every activation of a flow is put into: the layers, what goes in below, and the gradient
    that enters above.
    """

    layers: list[nn.Linear]
    x: Tensor
    upstream: Tensor


class Passing(NamedTuple):
    """What a layer multiplies the gradient by on its way back, as geometric means: `factor` is
    `weights` times `slopes`.

    `saturated` is the share of the slopes that are flat.
    """

    factor: float
    weights: float
    slopes: float
    saturated: float


def compute(request: Flow, job: Job) -> FlowResult:
    """The gradient in every layer of one stack, under one activation after the other.

    The stack, its input and the gradient that enters at its top are drawn once: what differs is the
    activation alone.
    """
    calls = request.activations
    flat = {call.text: _flat(call, job) for call in calls}
    try:
        stack = _stack(request, job)
        found = {call.text: _through(stack, call, flat[call.text]) for call in calls}
        passing = {name: _passing(*each) for name, each in found.items()}
        holding = _holding(
            request, job, [call for call in calls if not _steady(passing[call.text].factor)]
        )
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise SizeError(
                "there is not enough memory for the stack",
                hint="use a smaller --width, or fewer --layers",
            ) from None
        raise
    by_name = {name: rows for name, (rows, _) in found.items()}
    for name, rows in by_name.items():
        if lost := sum(1 for row in rows if not float(row.gradient_norm)):
            job.note(
                "vanishing",
                f"{name}: the gradient of {lost} of {request.layers} layers is exactly 0 in {request.dtype}",
            )
    verdicts = [
        _verdict(name, passing[name], rows, flat[name], request.dtype) + holding.get(name, "")
        for name, rows in by_name.items()
    ]
    factors = {
        name: None if math.isnan(each.factor) else each.factor for name, each in passing.items()
    }
    return FlowResult(
        **job.header("flow", {}), layers=[row for rows in by_name.values() for row in rows], verdict="; ".join(verdicts),
        factors=factors, flat=flat, points=tuple(_points(stack, call) for call in calls),
    )  # fmt: skip


def _stack(request: Flow, job: Job) -> Stack:
    """The linear layers, their weights drawn as `request` says, what goes in, and the gradient that
    enters.

    All of it is drawn on the CPU and moved: it is the same on every device.
    """
    seed(request.seed, job.device)  # other stacks have drawn
    layers = [nn.Linear(request.width, request.width, device="cpu") for _ in range(request.layers)]
    if request.init != "default":
        for layer in layers:
            INITS[request.init](layer.weight)
            nn.init.zeros_(layer.bias)
    x, upstream = (torch.randn(BATCH, request.width, device="cpu").to(job.device) for _ in range(2))
    return Stack([layer.to(job.device) for layer in layers], x, upstream)


def _holding(request: Flow, job: Job, calls: Sequence[Call]) -> dict[str, str]:
    """For each activation under which the gradient does not hold: the other way to draw weights
    under which it does.

    That is found by drawing them so, just as a call with that --init does. Stacks too large for it
    are told nothing.
    """
    if request.layers * request.width**2 > TRIED:
        return {}
    found = {call.text: ", and no other --init keeps it steady" for call in calls}
    left = list(calls)
    for init in ("kaiming", "xavier", "default", "normal"):
        if init == request.init or not left:
            continue
        stack = _stack(replace(request, init=init), job)
        for call in tuple(left):
            if _steady(factor := _factor(stack, call)):
                found[call.text] = f", but --init {init} keeps it steady ({factor:.3g})"
                left.remove(call)
    return found


def _factor(stack: Stack, call: Call) -> float:
    """By what a layer multiplies the gradient, from the first and the last alone; NaN where that
    cannot be told.
    """
    passed = _forward(stack, call)
    ends = {"first": passed[0][0], "last": passed[-1][0]}
    first, last = map(
        float, map(_norm, core.gradients((passed[-1][1] * stack.upstream).mean(), ends).values())
    )
    fit = 0 < first < math.inf and 0 < last < math.inf
    return (first / last) ** (1 / (len(passed) - 1)) if fit else math.nan


def _flat(call: Call, job: Job) -> float:
    """The slope up to which an output of the activation counts as saturated."""
    z = torch.linspace(-10, 10, 2001, dtype=job.dtype, device=job.device)
    with translated(call.text, {}):
        slope = core.slopes(implementations.activation(call), z)[1]
    return float(f"{FLAT * float(slope.abs().max()):.3g}")


def _forward(stack: Stack, call: Call) -> list[tuple[Tensor, Tensor]]:
    """z = W h + b and h = activation(z) of each layer, the one next to the input first."""
    activation = implementations.activation(call)
    h, passed = stack.x, []
    for layer in stack.layers:
        z = layer(h)
        h = activation(z)
        passed.append((z, h))
    return passed


def _through(stack: Stack, call: Call, flat: float) -> tuple[list[LayerFlow], list[float]]:
    """What there is to say of every layer, and the norm of the gradient by its output; the layer
    next to the input first.
    """
    # The gradient by z = W h + b is looked at. That by W would hide what happens: it gains going
    # back what h loses going forward, and through ReLUs it is nearly the same in all layers
    # whatever W is.
    passed = _forward(stack, call)
    asked = {
        f"{kind}{number}": tensor
        for number, pair in enumerate(passed)
        for kind, tensor in zip("zh", pair, strict=True)
    }
    slopes = core.gradients((passed[-1][1] * stack.upstream).mean(), asked, keep=True)
    found = list(slopes.values())
    rows = []
    for number, (z, h) in enumerate(passed, 1):
        slope = core.gradients(h.sum(), {"z": z}, keep=True)["z"]
        assert slope is not None
        values, saturated = h.detach().double(), (slope.abs() <= flat).double().mean()
        rows.append(
            LayerFlow(
                number,
                call.text,
                _norm(found[2 * number - 2]),
                values.mean(),
                values.std(),
                saturated,
            )
        )
    outputs = torch.stack([gradient for gradient in found[1::2] if gradient is not None]).double()
    return rows, torch.linalg.vector_norm(outputs, dim=(1, 2)).tolist()


def _norm(gradient: Tensor | None) -> Tensor:
    assert gradient is not None
    norm: Tensor = torch.linalg.vector_norm(
        gradient.double()
    )  # in float32 the squares of small numbers are 0
    return norm


def _passing(rows: Sequence[LayerFlow], outputs: Sequence[float]) -> Passing:
    """What the layers multiply the gradient by, given its norms by their outputs too; NaN without
    two norms that are numbers.

    The weights of a layer make the gradient by the output below of that by their own z, the slopes
    make that by z of it.
    """
    norms = [float(row.gradient_norm) for row in rows]
    fit = [i for i, norm in enumerate(norms) if 0 < norm < math.inf]
    if len(fit) < 2:
        return Passing(math.nan, math.nan, math.nan, math.nan)
    first, last = fit[0], fit[-1]
    factor = math.exp((math.log(norms[first]) - math.log(norms[last])) / (last - first))
    gains = [math.log(outputs[i]) - math.log(norms[i + 1]) for i in range(first, last)]
    weights = math.exp(sum(gains) / len(gains))
    saturated = sum(float(row.saturated) for row in rows[first:last]) / len(gains)
    return Passing(factor, weights, factor / weights, saturated)


def _steady(factor: float) -> bool:
    return STEADY[0] <= factor <= STEADY[1]


def _verdict(
    name: str, passing: Passing, rows: Sequence[LayerFlow], flat: float, dtype: str
) -> str:
    if math.isnan(passing.factor):
        finite = all(math.isfinite(float(row.gradient_norm)) for row in rows)
        return f"{name}: {'vanishing, the gradient is 0' if finite else 'exploding'} in {dtype}"
    factor = passing.factor
    word = "steady" if _steady(factor) else "vanishing" if factor < 1 else "exploding"
    largest, flats = flat / FLAT, passing.saturated
    why = (
        f" (at most {largest:.3g})"
        if largest < STEADY[0]
        else f" ({flats:.0%} saturated)"
        if flats > FLAT
        else ""
    )
    parts = f"{passing.weights:.3g} from the weights times {passing.slopes:.3g} from the slopes"
    return f"{name}: {word}, a factor of {factor:.3g} per layer: {parts}{why}"


# --- the layers as subjects ---------------------------------------------------------------------

_NORM = "each norm is the slope of the loss along the layer's own gradient, computed through the next layer"


def _points(stack: Stack, call: Call) -> Points:
    """The norm in each layer as a slope.

    A difference of the loss itself would tell nothing below a few layers: what is left of a
    vanishing gradient drowns in the loss's rounding. So each layer is moved along its gradient, and
    the one above weighs what comes out of it by the gradient that reached that one, made 1 in size.
    """

    @cache
    def wide() -> tuple[list[Tensor], list[Tensor], Tensor, Sequence[Tensor | None]]:
        """In float64: z of every layer, the weights, the gradient that enters above, and that by
        each z.
        """
        weights = [layer.weight.detach().cpu().double() for layer in stack.layers]
        biases = [
            None if layer.bias is None else layer.bias.detach().cpu().double()
            for layer in stack.layers
        ]
        upstream = stack.upstream.detach().cpu().double()
        activation = implementations.activation(call)
        with once_more(torch.float64):
            h, sums = stack.x.detach().cpu().double().requires_grad_(), []
            for weight, bias in zip(weights, biases, strict=True):
                sums.append(nn.functional.linear(h, weight, bias))
                h = activation(sums[-1])
            slopes = core.gradients(
                (h * upstream).mean(), {str(i): z for i, z in enumerate(sums)}, keep=True
            )
        return sums, weights, upstream, list(slopes.values())

    @cache
    def layer(i: int) -> tuple[Subject, float]:
        sums, weights, upstream, slopes = wide()
        last = i == len(sums) - 1
        above = (upstream / upstream.numel(), None) if last else (slopes[i + 1], weights[i + 1])
        return _layer(call, sums[i], slopes[i], *above)

    return Points(
        call.text, len(stack.layers), lambda i: layer(i)[0], lambda i, name, place: f"layer {i + 1}",
        what="layers", remarks=(_NORM,), size=lambda i: layer(i)[1],
    )  # fmt: skip


def _layer(
    call: Call, z: Tensor, slope: Tensor | None, upstream: Tensor | None, weight: Tensor | None
) -> tuple[Subject, float]:
    """One layer as an expression of t, how far z has gone along its gradient, and by what the norm
    is its slope.

    A step of t is in proportion to z: of numbers as large as 1e40 a step of 1 would be lost.
    """
    d = torch.ones_like(z) if slope is None or not bool(slope.any()) else slope
    u = torch.zeros_like(z) if upstream is None else upstream
    size, reach = float(u.norm()) or 1.0, float(z.detach().abs().max()) or 1.0
    inputs = {"t": z.new_zeros(()), "z": z.detach(), "d": d * (reach / d.norm()), "u": u / size}
    output = call.applied("z + t*d")
    if weight is not None:
        inputs["w"] = weight
        output = f"({output} @ w.T)"
    return Subject("", f"({output}*u).sum()", inputs, ("t",), call=call), size / reach
