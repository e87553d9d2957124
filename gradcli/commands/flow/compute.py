"""`flow`: the gradient that reaches each layer of a stack, under several activations, or of a network."""

from copy import deepcopy
from dataclasses import replace
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor, nn

from gradcli.catalogue.operators import RANDOM_MODULES
from gradcli.commands.flow import made
from gradcli.commands.flow.network import Layer, Network, Run, Slopes, rows_of, run, slopes_of
from gradcli.commands.flow.request import Flow
from gradcli.commands.flow.result import FlowResult, LayerFlow
from gradcli.commands.flow.verdict import IN_TURN, cure, redrawn, trials, verdict
from gradcli.errors import SizeError, UsageError
from gradcli.evaluate import implementations, library
from gradcli.evaluate.failures import is_out_of_memory
from gradcli.evaluate.job import Job, in_float64
from gradcli.evaluate.rerun import widened
from gradcli.language.expressions import expression
from gradcli.language.source import Source
from gradcli.results import Points, Subject

_NORM = "each norm is the slope of the loss along the layer's own gradient, computed through the next layer"


def compute(request: Flow, job: Job) -> FlowResult:
    """The gradient in every layer of the user's network, or of one stack, under one activation after
    the other: its layers, its input and its upstream gradient are drawn once.

    Raises SizeError if there is not enough memory for the stack, and what running --net raises.
    """
    if request.net is not None:
        return _own(request, job)
    try:
        return _stacks(request, job)
    except RuntimeError as error:
        if is_out_of_memory(error):
            message = "there is not enough memory for the stack"
            raise SizeError(message, hint="use a smaller --width, or fewer --layers") from None
        raise


def _own(request: Flow, job: Job) -> FlowResult:
    inputs, network, plain = made.own(request, job)
    before = deepcopy(network)
    network = redrawn(network, request.init)
    done = run(network, job)
    rows = rows_of(network, done)
    said, change = verdict(network, done, rows, job)
    if len(network.counted) > 1:
        said += cure(network, change, trials(request, before, network, done), job)
    return FlowResult(
        **job.header("flow", inputs),
        layers=rows,
        verdict=said,
        factors={network.name: change and change.factor},
        expression=job.program.canonical_text,
        flat={layer.name: layer.slopes.flat for layer in network.layers if layer.slopes},
        several=done.several,
        plain=plain,
        points=(_points(network, done, job),),
    )


def _stacks(request: Flow, job: Job) -> FlowResult:
    activations = [slopes_of(call, job) for call in request.activations]
    drawn = cache(partial(made.stack, request, job=job))
    layers: list[LayerFlow] = []
    found, points = [], []
    for each in activations:
        network = _through(drawn(request.init), each)
        done = run(network, job)
        rows = rows_of(network, done)
        found.append((network, *verdict(network, done, rows, job)))
        points.append(_points(network, done, job))
        for i, (z, h) in enumerate(zip(rows[::2], rows[1::2], strict=True), 1):
            layers.append(LayerFlow(i, each.call.text, z.gradient_norm, h.mean, h.std, h.saturated))
    others = [init for init in IN_TURN if init != request.init]
    verdicts = []
    for each, (network, said, change) in zip(activations, found, strict=True):
        tried = ((f"--init {init}", _through(drawn(init), each)) for init in others)
        verdicts.append(said + cure(network, change, tried, job))
    return FlowResult(
        **job.header("flow", {}),
        layers=layers,
        verdict="; ".join(verdicts),
        factors={network.name: change and change.factor for network, _, change in found},
        flat={each.call.text: each.flat for each in activations},
        points=tuple(points),
    )


def _through(stack: Network, slopes: Slopes) -> Network:
    """A stack with an activation after each layer."""
    text, function = slopes.call.text, implementations.activation(slopes.call)
    pairs = ((x, Layer(f"{text} of {x.name}", function, slopes)) for x in stack.layers)
    return stack._replace(name=text, layers=[layer for pair in pairs for layer in pair])


# --- the layers as subjects ----------------------------------------------------------------------


def _points(network: Network, done: Run, job: Job) -> Points:
    """The norm in each layer that is shown as a slope that a difference can check.

    A difference of the loss itself would show nothing below a few layers: a vanished gradient is
    smaller than the loss's rounding. So the output of each layer is moved along its own gradient,
    passed through the next one that is shown, and weighted by the gradient there, scaled to norm 1.
    """
    places, upstream = [i for i in network.shown if i in done.norms], done.upstream
    closed = all(
        isinstance(layer.module, nn.Linear) or (layer.slopes and not layer.parameters)
        for layer in network.layers[1:]
    )

    @cache
    def wide() -> tuple[list[Layer], Run]:
        """The layers and their run in float64, with the same upstream gradient."""
        for layer in network.layers:
            parts = {type(part).__name__ for part in layer.modules if layer.module.training}
            if not parts.isdisjoint(RANDOM_MODULES):
                message = f"--check: {layer.title} draws other numbers each time"
                raise UsageError(message, hint="write .eval() after the network")
        with in_float64():
            layers = [x._replace(module=_wide(x.module)) for x in network.layers]
            x, above = widened(network.x), widened(upstream)
            return layers, run(network._replace(layers=layers, x=x, upstream=above), job)

    @cache
    def layer(number: int) -> tuple[Subject, float]:
        layers, again = wide()
        i, end = places[number], [*places, len(layers) - 1][number + 1]
        between = layers[i + 1 : end + 1]
        call = next((x.slopes.call for x in between if x.slopes), None)
        inputs, size = _along(again.outputs[i], *(again.gradients[str(k)] for k in (i, end)))
        text = "(z + t*d)"
        if closed:
            for x in between:
                if x.slopes is None:
                    inputs["w"] = x.module.weight.detach()
                text = x.slopes.call.applied(text) if x.slopes else f"({text} @ w.T)"
            return Subject("", f"({text}*u).sum()", inputs, ("t",), call=call), size
        first = "[0]" if again.several and between and end == len(layers) - 1 else ""
        text = f"{made.NET} = nn.Identity(); ({made.NET}{text}{first}*u).sum()"
        program = expression.parse(Source(text), tuple(inputs))
        make, *rest = program.steps
        module = between[0].module if between else nn.Identity()
        program = replace(program, steps=(make._replace(kind="constant", value=module), *rest))
        return Subject("", text, inputs, ("t",), program=program), size

    return Points(
        name=network.name,
        total=len(places),
        at=lambda number: layer(number)[0],
        label=lambda number, name, place: network.layers[places[number]].name,
        what="layers",
        remarks=(_NORM,),
        size=lambda number: layer(number)[1],
    )


def _along(
    z: Tensor, slope: Tensor | None, upstream: Tensor | None
) -> tuple[dict[str, Tensor], float]:
    """The inputs t, z, d and u of an expression of z + t*d, which is weighted by u: t is the distance
    along `slope`, which has the shape of z. And the size of the norm when the slope by t is 1.

    t is in units of the largest z: at 1e40 a step of 1 would be lost in rounding.
    """
    z, d = z.detach(), slope
    d = torch.ones_like(z) if d is None or not bool(d.any()) else d
    u = torch.zeros_like(z) if upstream is None else upstream
    largest = float(z.abs().max()) if z.numel() else 0.0
    size, reach = float(u.norm()) or 1.0, largest or 1.0
    return {"t": z.new_zeros(()), "z": z, "d": d * (reach / d.norm()), "u": u / size}, size / reach


def _wide(module: Any) -> Any:
    """A copy of a module in float64 on the CPU. Module.double would load PyTorch's fake tensors."""
    if not isinstance(module, nn.Module):
        return module
    named = module.named_parameters()
    return library.with_parameters(module, {n: widened(p).requires_grad_() for n, p in named})
