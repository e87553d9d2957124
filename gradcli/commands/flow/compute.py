"""`flow`: the gradient that reaches each layer of a deep stack, under several activations."""

import math
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gradcli import core
from gradcli.commands.flow.judging import (
    FLAT,
    IN_TURN,
    NORM,
    STEADY,
    TRIED,
    along,
    flat_slope,
    initialise,
    is_steady,
    norm,
    slope_of,
    word,
)
from gradcli.commands.flow.request import Flow
from gradcli.commands.flow.result import FlowResult, LayerFlow, NetResult
from gradcli.errors import SizeError
from gradcli.evaluate import implementations
from gradcli.evaluate.failures import is_out_of_memory
from gradcli.evaluate.job import Job, once_more, seed
from gradcli.evaluate.rerun import widened
from gradcli.language.calls import Call
from gradcli.results import Points, Subject

BATCH = 64
"""Samples that pass through the stack together."""


class Stack(NamedTuple):
    """The part of a flow that is the same for every activation.

    `x`, [BATCH, width], is the input, and `upstream`, of the same shape, the gradient by the output
    of the last layer.
    """

    layers: list[nn.Linear]
    x: Tensor
    upstream: Tensor


class LayerFactor(NamedTuple):
    """The geometric mean of what one layer multiplies the gradient by: `weights` times `slopes`.

    `saturated` is the share of the slopes that are flat.
    """

    factor: float
    weights: float
    slopes: float
    saturated: float


def compute(request: Flow, job: Job) -> FlowResult | NetResult:
    """The gradient in every layer of the user's network, or of one stack, under one activation after
    the other.

    The stack, its input and its upstream gradient are drawn once: only the activation differs.
    Raises SizeError if there is not enough memory.
    """
    if request.net is not None:
        from gradcli.commands.flow import network  # and with it the grammar of expressions

        return network.compute(request, job)
    calls = request.activations
    flat = {call.text: flat_slope(call, job) for call in calls}
    try:
        stack = _stack(request, job)
        layers = {call.text: _layers(stack, call, flat[call.text]) for call in calls}
        factors = {name: _layer_factor(*each) for name, each in layers.items()}
        unsteady = [call for call in calls if not is_steady(factors[call.text].factor)]
        advice = _init_advice(request, job, unsteady)
    except RuntimeError as error:
        if is_out_of_memory(error):
            message = "there is not enough memory for the stack"
            raise SizeError(message, hint="use a smaller --width, or fewer --layers") from None
        raise
    rows = {name: each for name, (each, _) in layers.items()}
    for name, each in rows.items():
        if zeros := sum(not float(row.gradient_norm) for row in each):
            part = f"{zeros} of {request.layers} layers is exactly 0 in {request.dtype}"
            job.note("vanishing", f"{name}: the gradient of {part}")
    verdicts = [
        _verdict(name, factors[name], each, flat[name], request.dtype) + advice.get(name, "")
        for name, each in rows.items()
    ]
    return FlowResult(
        **job.header("flow", {}),
        layers=[row for each in rows.values() for row in each],
        verdict="; ".join(verdicts),
        factors={
            name: None if math.isnan(each.factor) else each.factor for name, each in factors.items()
        },
        flat=flat,
        points=tuple(_points(stack, call) for call in calls),
    )


def _stack(request: Flow, job: Job) -> Stack:
    """The linear layers, initialised as `request` says, their input and upstream gradient.

    Everything is drawn on the CPU and moved, so that it is the same on every device.
    """
    seed(request.seed, job.device)  # an earlier stack has drawn numbers
    layers = [nn.Linear(request.width, request.width, device="cpu") for _ in range(request.layers)]
    if request.init != "default":
        for layer in layers:
            initialise(layer, request.init)
    x, upstream = (torch.randn(BATCH, request.width, device="cpu").to(job.device) for _ in range(2))
    if job.device.type != "cpu":  # even a move to the CPU makes PyTorch load its fake tensors
        layers = [layer.to(job.device) for layer in layers]
    return Stack(layers, x, upstream)


def _init_advice(request: Flow, job: Job, calls: Sequence[Call]) -> dict[str, str]:
    """For each activation whose gradient is not steady: the --init under which it is, by trial.

    Large stacks are not tried, and get no advice.
    """
    if request.layers * request.width**2 > TRIED:
        return {}
    advice = {call.text: ", and no other --init keeps it steady" for call in calls}
    left = list(calls)
    for init in IN_TURN:
        if init == request.init or not left:
            continue
        stack = _stack(replace(request, init=init), job)
        for call in tuple(left):
            if is_steady(factor := _quick_factor(stack, call)):
                advice[call.text] = f", but --init {init} keeps it steady ({factor:.3g})"
                left.remove(call)
    return advice


def _quick_factor(stack: Stack, call: Call) -> float:
    """The factor per layer from the first and the last layer alone; NaN if one has no norm."""
    passed = _forward(stack, call)
    ends = {"first": passed[0][0], "last": passed[-1][0]}
    gradients = core.gradients((passed[-1][1] * stack.upstream).mean(), ends)
    first, last = (float(norm(gradient)) for gradient in gradients.values())
    if not (0 < first < math.inf and 0 < last < math.inf):
        return math.nan
    return float((first / last) ** (1 / (len(passed) - 1)))


def _forward(stack: Stack, call: Call) -> list[tuple[Tensor, Tensor]]:
    """z = W h + b and h = activation(z) of each layer, all [BATCH, width], the first layer first."""
    activation = implementations.activation(call)
    h, passed = stack.x, []
    for layer in stack.layers:
        z = layer(h)
        h = activation(z)
        passed.append((z, h))
    return passed


def _layers(stack: Stack, call: Call, flat: float) -> tuple[list[LayerFlow], list[float]]:
    """The row of every layer, and the norm of the gradient by its output; the first layer first."""
    # The gradient by W would hide what happens: going back it gains what h loses going forward, and
    # through ReLUs it is nearly the same in all layers for any W. So this is the gradient by z.
    passed = _forward(stack, call)
    recorded = {f"z{i}": z for i, (z, _) in enumerate(passed)}
    recorded |= {f"h{i}": h for i, (_, h) in enumerate(passed)}
    slopes = core.gradients((passed[-1][1] * stack.upstream).mean(), recorded, keep=True)
    rows = []
    for i, (z, h) in enumerate(passed):
        values, saturated = h.detach().double(), (slope_of(h, z).abs() <= flat).double().mean()
        of_layer = norm(slopes[f"z{i}"]), values.mean(), values.std(), saturated
        rows.append(LayerFlow(i + 1, call.text, *of_layer))
    return rows, [float(norm(slopes[f"h{i}"])) for i in range(len(passed))]


def _layer_factor(rows: Sequence[LayerFlow], outputs: Sequence[float]) -> LayerFactor:
    """The factor per layer, given the norms by the outputs too; NaN without two usable norms.

    Going back, the slopes of a layer turn the gradient by its output into that by its z, and its
    weights turn that into the gradient by the output of the layer below.
    """
    norms = [float(row.gradient_norm) for row in rows]
    usable = [i for i, norm in enumerate(norms) if 0 < norm < math.inf]
    if len(usable) < 2:
        return LayerFactor(math.nan, math.nan, math.nan, math.nan)
    first, last = usable[0], usable[-1]
    factor = math.exp((math.log(norms[first]) - math.log(norms[last])) / (last - first))
    gains = [math.log(outputs[i]) - math.log(norms[i + 1]) for i in range(first, last)]
    weights = math.exp(sum(gains) / len(gains))
    saturated = sum(float(row.saturated) for row in rows[first:last]) / len(gains)
    return LayerFactor(factor, weights, factor / weights, saturated)


def _verdict(
    name: str, layer: LayerFactor, rows: Sequence[LayerFlow], flat: float, dtype: str
) -> str:
    factor, largest = layer.factor, flat / FLAT
    if math.isnan(factor):
        finite = all(math.isfinite(float(row.gradient_norm)) for row in rows)
        return f"{name}: {'vanishing, the gradient is 0' if finite else 'exploding'} in {dtype}"
    why = ""
    if largest < STEADY[0]:
        why = f" (at most {largest:.3g})"
    elif layer.saturated > FLAT:
        why = f" ({layer.saturated:.0%} saturated)"
    parts = f"{layer.weights:.3g} from the weights times {layer.slopes:.3g} from the slopes"
    return f"{name}: {word(factor)}, a factor of {factor:.3g} per layer: {parts}{why}"


# --- the layers as subjects ---------------------------------------------------------------------


def _points(stack: Stack, call: Call) -> Points:
    """The norm in each layer as a slope that a difference can check.

    A difference of the loss itself would show nothing below a few layers: a vanished gradient is
    smaller than the loss's rounding. So z of each layer is moved along its own gradient, and the
    output, passed through the next layer, is weighted by the gradient there, scaled to norm 1.
    """

    @cache
    def wide() -> tuple[list[Tensor], list[Tensor], Tensor, Sequence[Tensor | None]]:
        """In float64: z of every layer, the weights, the upstream gradient, and that by each z."""
        weights = [widened(layer.weight) for layer in stack.layers]
        upstream, activation = widened(stack.upstream), implementations.activation(call)
        with once_more(torch.float64):
            h, sums = widened(stack.x).requires_grad_(), []
            for layer, weight in zip(stack.layers, weights, strict=True):
                sums.append(nn.functional.linear(h, weight, widened(layer.bias)))
                h = activation(sums[-1])
            by = {str(i): z for i, z in enumerate(sums)}
            slopes = core.gradients((h * upstream).mean(), by, keep=True)
        return sums, weights, upstream, list(slopes.values())

    @cache
    def layer(i: int) -> tuple[Subject, float]:
        sums, weights, upstream, slopes = wide()
        if i == len(sums) - 1:
            return _layer(call, sums[i], slopes[i], upstream / upstream.numel(), None)
        return _layer(call, sums[i], slopes[i], slopes[i + 1], weights[i + 1])

    return Points(
        name=call.text,
        total=len(stack.layers),
        at=lambda i: layer(i)[0],
        label=lambda i, name, place: f"layer {i + 1}",
        what="layers",
        remarks=(NORM,),
        size=lambda i: layer(i)[1],
    )


def _layer(
    call: Call, z: Tensor, slope: Tensor | None, upstream: Tensor | None, weight: Tensor | None
) -> tuple[Subject, float]:
    """One layer as an expression of t, the distance of z along its gradient, and the size of the
    norm when the slope by t is 1.
    """
    inputs, size = along(z, slope, upstream)
    output = call.applied("z + t*d")
    if weight is not None:
        inputs["w"] = weight
        output = f"({output} @ w.T)"
    return Subject("", f"({output}*u).sum()", inputs, ("t",), call=call), size
