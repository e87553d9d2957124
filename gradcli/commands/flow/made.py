"""How `flow` makes its networks: the stack of --activation, and the user's own of --net."""

from dataclasses import replace
from functools import cache, partial
from typing import cast

import torch
from torch import Tensor, nn

from gradcli.commands.flow.network import Layer, Network, initialise, slopes_of
from gradcli.commands.flow.request import Flow
from gradcli.errors import ExpressionError, ShapeError, UsageError
from gradcli.evaluate.failures import kind
from gradcli.evaluate.job import Job, seed
from gradcli.evaluate.machine import assigned
from gradcli.evaluate.networks import Made, activation_of, leaves, make_inputs, part_names
from gradcli.language.expressions.program import Expression, Step
from gradcli.language.source import Span

BATCH = 64
"""Samples that pass through the stack together."""
NET = "net"
"""The name of a network that the user gave none."""
_BOUND = " net"
"""The name under which the expression's value is kept: no user can write it."""


def stack(request: Flow, init: str, job: Job) -> Network:
    """The linear layers of the stack, without activations, initialised by `init`.

    Everything is drawn on the CPU and moved, so that it is the same on every device.
    """
    seed(request.seed, job.device)  # an earlier stack has drawn numbers
    width = request.width
    layers = [nn.Linear(width, width, device="cpu") for _ in range(request.layers)]
    initialise(layers, init)
    x, upstream = (torch.randn(BATCH, width, device="cpu").to(job.device) for _ in range(2))
    if job.device.type != "cpu":  # even a move to the CPU makes PyTorch load its fake tensors
        layers = [layer.to(job.device) for layer in layers]
    named = [Layer(f"layer {i}", layer) for i, layer in enumerate(layers, 1)]
    return Network("", named, x, upstream)


def own(request: Flow, job: Job) -> tuple[dict[str, Tensor], Network, bool]:
    """The input and the parameters of the user's network, any shapes; the network as drawn; and
    whether its layers are the parts of one nn.Sequential, each once.

    Raises UsageError if --net makes no module, ShapeError if x does not fit it, and what running an
    expression raises.
    """
    program = _kept(job.program)
    job.programs = [program]
    literals = {name: literal for name, literal in request.literals.items() if literal is not None}
    for name in literals:
        if name != "x" and "." not in name and name not in program.modules:
            hint = f"its inputs are x and its parameters, such as {NET}.0.weight"
            raise UsageError(f"the network has no input {name!r}", hint=hint)
    inputs = make_inputs(job, literals)
    if not inputs["x"].numel():
        raise ShapeError(f"--x is empty: its shape is {list(inputs['x'].shape)}", hint="--x 1,2")
    net = assigned(job.program, inputs, job.before)[_BOUND]
    whole = program.source.whole
    if not isinstance(net, nn.Module):
        hint = "for example 'nn.Sequential(nn.Linear(2,3), nn.Tanh())'; --x is what it is given"
        message = f"this makes {kind(net)}, not a module of torch.nn"
        raise ExpressionError(message, span=whole, hint=hint)
    names = {step.span: name for name, step in program.modules.items()}
    name, titles, spans = NET, dict[int, str](), dict[int, Span]()
    for step in job.program.steps:
        if step.kind == "network":
            module = cast(Made, step.value).module
            spans[id(module)] = step.span
            if title := names.get(step.span):
                titles = part_names(title, module) | titles
                name = title if module is net else name
    titles = part_names(name, net) | titles
    layers = []
    slopes = cache(partial(slopes_of, job=job))
    for part in leaves(net):
        call = activation_of(part)
        its = slopes(call) if call and not call.entry.mixes else None
        layers.append(Layer(titles[id(part)], part, its, spans.get(id(part), whole)))
    if not layers:
        raise UsageError(f"{name} has no layers", hint="--net 'nn.Sequential(nn.Linear(2,3))'")
    places = [f"{name}[{i}]" for i in range(len(net))] if isinstance(net, nn.Sequential) else []
    plain = places == [layer.name for layer in layers]
    network = Network(name, layers, inputs["x"], None, torch.get_rng_state())
    if request.init != "default" and not network.drawn():
        message = f"--init {request.init}: {name} has no nn.Linear and no convolution"
        raise UsageError(message, hint="leave out --init")
    return inputs, network, plain


def _kept(program: Expression) -> Expression:
    """The program of a module, which keeps that module under a name, and then gives x."""
    whole, node = program.source.whole, program.tree
    kept = (Step("store", whole, name=_BOUND), Step("drop", whole), Step("load", whole, name="x"))
    modules = dict(program.modules)
    unnamed = [name for name in modules if name not in program.assigned]
    if unnamed and NET not in modules:
        modules = {NET if name == unnamed[-1] else name: step for name, step in modules.items()}
    return replace(
        program,
        steps=(*program.steps, *kept),
        origins=(*program.origins, *[node] * len(kept)),
        names=("x",),
        assigned=(*program.assigned, _BOUND),
        modules=modules,
    )
