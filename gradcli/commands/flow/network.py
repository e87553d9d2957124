"""`flow --net`: the gradient through the user's own network, layer by layer, its verdict and a cure."""

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from gradcli import core
from gradcli.catalogue.operators import RANDOM_MODULES
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
from gradcli.commands.flow.result import NetLayer, NetResult
from gradcli.errors import ExpressionError, GradcliError, ShapeError, UsageError
from gradcli.evaluate import growth, library
from gradcli.evaluate.failures import explained, kind
from gradcli.evaluate.job import Job, once_more
from gradcli.evaluate.machine import assigned
from gradcli.evaluate.networks import Made, activation_of, function_of, leaves, make_inputs
from gradcli.evaluate.rerun import widened
from gradcli.language.assignment import in_expression
from gradcli.language.calls import Call
from gradcli.language.expressions import expression
from gradcli.language.expressions.program import Expression, Step
from gradcli.language.limits import ELEMENTS
from gradcli.language.source import Source, Span
from gradcli.results import Points, Subject

NET = "net"
"""The name of a network that the user gave none."""
_BOUND = " net"
"""The name under which the expression's value is kept: no user can write it."""
DRAWN = (nn.Linear, nn.modules.conv._ConvNd)
"""The layers whose weights --init draws."""


class Layer(NamedTuple):
    """One layer of the network, its name in the expression, and its place in the text."""

    name: str
    module: nn.Module
    span: Span

    @property
    def title(self) -> str:
        """The name and the class."""
        return f"{self.name} ({type(self.module).__name__})"

    @property
    def call(self) -> Call | None:
        """The elementwise activation that it applies, None if it is something else."""
        call = activation_of(self.module)
        return call if call and not call.entry.mixes else None

    @property
    def closed(self) -> bool:
        """Whether its derivative has a closed form: an activation without parameters, or nn.Linear."""
        linear = isinstance(self.module, nn.Linear)
        return linear or (self.call is not None and not [*self.module.parameters()])

    @property
    def weights(self) -> list[Tensor]:
        """Its weights, each of two or more dimensions; those of a normalisation are none."""
        if "Norm" in type(self.module).__name__:
            return []
        return [p for p in self.module.parameters() if p.ndim > 1]

    @property
    def part(self) -> str:
        """What its factor counts to in the verdict."""
        if self.call:
            return "the slopes"
        return "the weights" if self.weights else f"nn.{_class(self)}"


class Network(NamedTuple):
    """The network: its name, its layers in order, and PyTorch's generator before they are run."""

    name: str
    layers: list[Layer]
    state: Tensor
    plain: bool
    """Whether the layers are the parts of one nn.Sequential, each once."""

    @property
    def counted(self) -> list[int]:
        """The layers between which the factor per layer is taken: those with weights, or else all."""
        weighted = [i for i, layer in enumerate(self.layers) if layer.weights]
        return weighted if len(weighted) > 1 else [*range(len(self.layers))]

    def factor(self, norms: Sequence[float]) -> float:
        """The factor per layer from the norms by the outputs of all layers; NaN without two."""
        first, last = norms[self.counted[0]], norms[self.counted[-1]]
        if len(self.counted) < 2 or not (0 < first < math.inf and 0 < last < math.inf):
            return math.nan
        return math.exp(math.log(first / last) / (len(self.counted) - 1))


class Passed(NamedTuple):
    """One run: what each layer was given and its output, and the gradients by input, outputs and
    weights, by `x`, the number of the layer, and its number and that of the weight.
    """

    given: list[Tensor]
    outputs: list[Tensor]
    upstream: Tensor
    gradients: dict[str, Tensor | None]
    several: bool
    """Whether the last layer gives several results, of which the first counts."""

    @property
    def norms(self) -> list[float]:
        """The norm of the gradient by the output of each layer; NaN where there is no gradient."""
        found = (self.gradients.get(str(i)) for i in range(len(self.outputs)))
        return [math.nan if gradient is None else float(norm(gradient)) for gradient in found]


def compute(request: Flow, job: Job) -> NetResult:
    """The gradient through the network of --net.

    Raises UsageError if --net makes no module, ShapeError if x does not fit it, and what running an
    expression raises.
    """
    inputs, network = _made(request, job)
    before = deepcopy(network)
    if request.init != "default":
        if not any(True for _ in _drawn(network)):
            message = f"--init {request.init}: {network.name} has no nn.Linear and no convolution"
            raise UsageError(message, hint="leave out --init")
        for layer in _drawn(network):
            initialise(layer, request.init)
        network = network._replace(state=torch.get_rng_state())
    x = inputs["x"]
    passed = _passed(network, x, job)
    flat = {layer.call: 0.0 for layer in network.layers if layer.call}
    flat = {call: flat_slope(call, job) for call in flat}
    rows = [_row(i, network, passed, flat) for i in range(len(network.layers))]
    verdict, factor = _verdict(network, passed, rows, flat, job)
    if not is_steady(factor) and len(network.counted) > 1:
        verdict += _cure(request, before, network, passed, job)
    return NetResult(
        **job.header("flow", inputs),
        layers=rows,
        verdict=verdict,
        factors={network.name: None if math.isnan(factor) else factor},
        expression=job.program.canonical_text,
        flat=[flat[layer.call] if layer.call else 0.0 for layer in network.layers],
        several=passed.several,
        net=network.name,
        source=job.program.source.text,
        plain=network.plain,
        closed=all(layer.closed for layer in network.layers[1:]),
        points=(_points(network, passed, x, job),),
    )


# --- the network ---------------------------------------------------------------------------------


def _made(request: Flow, job: Job) -> tuple[dict[str, Tensor], Network]:
    """The input and the parameters of the network, and the network."""
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
    spans: dict[int, Span] = {}
    titles: dict[int, str] = {}
    name = NET
    for step in job.program.steps:
        if step.kind == "network":
            module = cast(Made, step.value).module
            spans[id(module)] = step.span
            if title := names.get(step.span):
                titles |= _named(title, module, titles)
                name = title if module is net else name
    titles |= _named(name, net, titles)
    layers = [Layer(titles[id(part)], part, spans.get(id(part), whole)) for part in leaves(net)]
    if not layers:
        raise UsageError(f"{name} has no layers", hint="--net 'nn.Sequential(nn.Linear(2,3))'")
    places = [f"{name}[{i}]" for i in range(len(net))] if isinstance(net, nn.Sequential) else []
    plain = places == [layer.name for layer in layers]
    return inputs, Network(name, layers, torch.get_rng_state(), plain)


def _named(name: str, module: nn.Module, known: Container[int]) -> dict[int, str]:
    """The names in the expression of a module and its parts, by their ids, without the known ones."""
    parts = ((id(part), path) for path, part in module.named_modules())
    return {
        part: in_expression(f"{name}.{path}" if path else name)
        for part, path in parts
        if part not in known
    }


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


def _drawn(network: Network) -> Iterator[nn.Module]:
    """The parts of the network whose weights --init draws, each once."""
    parts = (part for layer in network.layers for part in layer.module.modules())
    yield from {id(part): part for part in parts if isinstance(part, DRAWN)}.values()


# --- one run -------------------------------------------------------------------------------------


def _passed(network: Network, x: Tensor, job: Job, upstream: Tensor | None = None) -> Passed:
    """The layers run one after another on x, and the gradients of (output * upstream).mean(), where
    upstream has the shape of the output; without it, it is drawn, on the CPU as every number.
    """
    torch.set_rng_state(network.state)
    floating = ["x"] if x.is_floating_point() else []
    h = core.require_grad({"x": x}, floating)["x"]
    x, given, outputs, several = h, [], [], False
    for layer in network.layers:
        given.append(h)
        h = _applied(layer, h, job)
        if not isinstance(h, Tensor):
            if layer is not network.layers[-1]:
                message = f"{layer.title} gives several results, and the next layer takes one"
                hint = "flow follows one path: such a layer can only be the last"
                raise ExpressionError(message, span=layer.span, hint=hint)
            h, several = h[0], True
        ELEMENTS.check(h.numel(), layer.title, span=layer.span)
        outputs.append(h)
    if upstream is None:
        upstream = torch.randn(h.shape, device="cpu").to(h.device)
    by = {"x": x} if floating else {}
    by |= {str(i): h for i, h in enumerate(outputs) if h.requires_grad}
    weights = [(i, w) for i, layer in enumerate(network.layers) for w in layer.weights]
    by |= {f"{i} {n}": weight for n, (i, weight) in enumerate(weights)}
    gradients = core.gradients((h * upstream).mean(), by, keep=True)
    return Passed(given, outputs, upstream, gradients, several)


def _applied(layer: Layer, h: Tensor, job: Job) -> Any:
    """The output of a layer. Raises a GradcliError at its place for what PyTorch refuses."""
    step = Step("apply", layer.span, 2, _class(layer))
    job.before(step, [layer.module, h])
    try:
        if written := function_of(layer.module):
            path, operands, keywords = written
            growth.checker(path.rpartition(".")[2])((h, *operands), keywords)
        return library.apply(layer.module, h)
    except GradcliError as error:
        error.span = error.span or step.span
        raise
    except Exception as error:  # whatever PyTorch raises for the user's layer
        refused = explained(error, step, [layer.module, h])
        refused.message = f"{layer.name}: {refused.message}"
        raise refused from None


def _row(i: int, network: Network, passed: Passed, flat: Mapping[Call, float]) -> NetLayer:
    layer, h, z = network.layers[i], passed.outputs[i], passed.given[i]
    values = h.detach().double()
    gradient = passed.gradients.get(str(i))
    below = passed.gradients.get(str(i - 1) if i else "x")
    own = norm(gradient) if gradient is not None else None
    factor = norm(below) / own if below is not None and own is not None and own > 0 else None
    by_weights = [g for key, g in passed.gradients.items() if key.startswith(f"{i} ")]
    saturated = dead = None
    if layer.call and z.requires_grad:
        slope = slope_of(h, z).abs()
        saturated = (slope <= flat[layer.call]).double().mean()
        if slope.ndim > 1 and len(slope) > 1:
            dead = (slope == 0).all(0).double().mean()
    return NetLayer(
        layer=i + 1,
        name=layer.name,
        module=type(layer.module).__name__,
        activation=layer.call.entry.name if layer.call else None,
        shape=list(h.shape),
        gradient_norm=own,
        factor=factor,
        weight_gradient_norm=norm(*by_weights) if by_weights else None,
        mean=values.mean(),
        std=values.std() if values.numel() > 1 else None,
        saturated=saturated,
        dead=dead,
    )


# --- the verdict ---------------------------------------------------------------------------------


def _verdict(
    network: Network,
    passed: Passed,
    rows: Sequence[NetLayer],
    flat: Mapping[Call, float],
    job: Job,
) -> tuple[str, float]:
    """What becomes of the gradient, and the factor per layer, NaN if there is none."""
    name, counted, norms = network.name, network.counted, passed.norms
    dtype = str(job.dtype).removeprefix("torch.")
    if lost := sum(norm == 0 for norm in norms):
        part = f"{lost} of {len(rows)} layers is exactly 0 in {dtype}"
        job.note("vanishing", f"{name}: the gradient of {part}")
    for i in reversed(range(len(rows))):
        if rows[i].gradient_norm is not None and not math.isfinite(norms[i]):
            lost_at = f"the gradient by {rows[i].name} is not finite in {dtype}"
            return f"{name}: exploding, {lost_at}", math.nan
        if norms[i] == 0:
            return f"{name}: vanishing, {_cut(network, passed, i + 1, dtype)}", math.nan
    factor = network.factor(norms)
    if math.isnan(factor):
        return f"{name}: one layer alone, so there is no factor per layer", factor
    first, last = counted[0], counted[-1]
    between = range(first + 1, last + 1)
    logs = {i: math.log(norms[i - 1] / norms[i]) for i in between}
    shares: dict[str, float] = {}
    for i in between:
        part = network.layers[i].part
        shares[part] = shares.get(part, 1.0) * math.exp(logs[i] / (len(counted) - 1))
    reasons = {
        "the weights": _of_weights([network.layers[i] for i in between], shares),
        "the slopes": _of_slopes(rows[first + 1 : last + 1], flat),
    }
    told = {
        part: f"{share:.3g}"
        for part, share in shares.items()
        if part in reasons or f"{share:.3g}" != "1"
    }
    parts = [f"{share} from {part}{reasons.get(part, '')}" for part, share in told.items()]
    total = norms[first] / norms[last]
    text = f"a factor of {factor:.3g} per layer ({total:.3g} from {rows[last].name} to {rows[first].name})"
    worst = max(between, key=lambda i: logs[i] if total > 1 else -logs[i])
    most = ""
    if not is_steady(factor) and len(between) > 3 and logs[worst] / math.log(total) > 0.5:
        most = f", most of it in {network.layers[worst].title}"
    return f"{name}: {word(factor)}, {text}: {' times '.join(parts)}{most}", factor


def _cut(network: Network, passed: Passed, i: int, dtype: str) -> str:
    """Why the gradient that layer `i` passes on is exactly 0."""
    layer = network.layers[i]
    if layer.call and not bool(slope_of(passed.outputs[i], passed.given[i]).any()):
        return f"no gradient passes {layer.title}: its slope is 0 at every output"
    if layer.weights and not any(bool(weight.any()) for weight in layer.weights):
        return f"no gradient passes {layer.title}: all its weights are 0"
    return f"the gradient that {layer.title} passes on is 0 in {dtype}"


def _of_weights(layers: Sequence[Layer], shares: Mapping[str, float]) -> str:
    """How large the weights are, if they do not keep the gradient as it is: a gradient of random
    direction keeps its size where their standard deviation is 1/sqrt(inputs).
    """
    drawn = [layer.weights[0] for layer in layers if isinstance(layer.module, DRAWN)]
    if is_steady(shares.get("the weights", 1.0)) or not drawn:
        return ""
    squares = [weight.detach().double().pow(2).mean() * weight[0].numel() for weight in drawn]
    ratios = [float(square) ** 0.5 for square in squares]
    size = math.exp(sum(map(math.log, ratios)) / len(ratios))
    return f" (their root mean square is {size:.3g}/sqrt(inputs))"


def _of_slopes(rows: Sequence[NetLayer], flat: Mapping[Call, float]) -> str:
    """Why the slopes are small, if they are: their largest, and how many are flat."""
    largest = max(flat.values(), default=1.0) / FLAT
    reasons = [f"at most {largest:.3g}"] if largest < STEADY[0] else []
    for what in ("saturated", "dead"):
        found = [float(share) for row in rows if (share := getattr(row, what)) is not None]
        share = sum(found) / len(found) if found else 0.0
        if share > FLAT:
            reasons.append(f"{share:.0%} {what}")
    return f" ({', '.join(reasons)})" if reasons else ""


# --- the cure ------------------------------------------------------------------------------------


def _cure(request: Flow, before: Network, network: Network, passed: Passed, job: Job) -> str:
    """What keeps the gradient steady, found by running it: another --init, ReLU in place of the
    activations, or a normalisation after each layer with weights. `before` is the network as PyTorch
    drew it. Large networks are not tried, and get no advice.
    """
    if sum(w.numel() for layer in network.layers for w in layer.weights) > TRIED:
        return ""
    now = network.factor(passed.norms)
    best, nearest = "", math.inf if math.isnan(now) else abs(math.log(now))
    for cure, trial in _trials(request, before, network, passed.outputs):
        factor = trial.factor(_passed(trial, passed.given[0], job).norms)
        if is_steady(factor):
            return f", but {cure} keeps it steady ({factor:.3g})"
        distance = math.nan if math.isnan(factor) else abs(math.log(factor))
        if distance < nearest:
            best, nearest = f"{cure} ({factor:.3g})", distance
    return f"; nothing that was tried keeps it steady, the nearest is {best}" if best else ""


def _trials(
    request: Flow, before: Network, network: Network, outputs: Sequence[Tensor]
) -> Iterator[tuple[str, Network]]:
    """Networks to try, and how the user makes each; `outputs` are those of the network's layers."""
    given = " instead of the given parameters" if len(request.literals) > 1 else ""
    for init in IN_TURN if any(True for _ in _drawn(before)) else ():
        if init != request.init and not (init == "default" and given):
            yield f"--init {init}{given}", _redrawn(before, init)
    last = network.counted[-1]
    replaced = [layer for layer in before.layers[:last] if layer.call]
    old = " and ".join(dict.fromkeys(f"nn.{_class(layer)}" for layer in replaced))
    for new, init in (("ReLU", "kaiming"), ("Tanh", "xavier")):
        if old not in ("", f"nn.{new}"):
            layers = [
                layer._replace(module=getattr(nn, new)()) if layer in replaced else layer
                for layer in before.layers
            ]
            how = f"nn.{new} in place of {old} with --init {init}{given}"
            yield how, _redrawn(before._replace(layers=layers), init)
    if not any("Norm" in _class(layer) for layer in network.layers):
        layers = []
        added: dict[str, None] = {}
        for i, (layer, h) in enumerate(zip(network.layers, outputs, strict=True)):
            layers.append(layer)
            if i < last and (norm := _normalisation(layer, h)):
                layers.append(layer._replace(module=norm))
                added[f"nn.{_class(layers[-1])} after each nn.{_class(layer)}"] = None
        if added:
            yield f"{' and '.join(added)} but the last", network._replace(layers=layers)


def _class(layer: Layer) -> str:
    return type(layer.module).__name__


def _redrawn(network: Network, init: str) -> Network:
    """A copy of the network with its weights drawn by `init`."""
    network = deepcopy(network)
    if init == "default":
        return network
    torch.set_rng_state(network.state)
    for layer in _drawn(network):
        initialise(layer, init)
    return network._replace(state=torch.get_rng_state())


def _normalisation(layer: Layer, h: Tensor) -> nn.Module | None:
    """The normalisation of each sample that fits behind a layer whose output is `h`, or None."""
    if isinstance(layer.module, nn.Linear):
        return nn.LayerNorm(h.shape[-1])
    if isinstance(layer.module, nn.modules.conv._ConvNd) and h.ndim == layer.module.weight.ndim:
        return nn.GroupNorm(1, h.shape[1])
    return None


# --- the layers as subjects ----------------------------------------------------------------------


def _points(network: Network, passed: Passed, x: Tensor, job: Job) -> Points:
    """The norm by the output of each layer as a slope that a difference can check, as in a stack: the
    output is moved along its own gradient, passed through the next layer, and weighted there.
    """
    reached = [i for i in range(len(network.layers)) if str(i) in passed.gradients]

    @cache
    def wide() -> tuple[Network, Passed]:
        """The network and its run in float64, with the same upstream gradient."""
        for layer in network.layers:
            parts = {type(part).__name__ for part in layer.module.modules()}
            if layer.module.training and not parts.isdisjoint(RANDOM_MODULES):
                message = f"--check: {layer.title} draws other numbers each time"
                raise UsageError(message, hint="write .eval() after the network")
        with once_more(torch.float64):
            layers = [layer._replace(module=_wide(layer.module)) for layer in network.layers]
            copied = network._replace(layers=layers)
            return copied, _passed(copied, widened(x), job, widened(passed.upstream))

    @cache
    def layer(number: int) -> tuple[Subject, float]:
        copied, run = wide()
        layers = copied.layers
        i = reached[number]
        z, slope = run.outputs[i], run.gradients[str(i)]
        if i == len(layers) - 1:
            inputs, size = along(z, slope, run.upstream / run.upstream.numel())
            return Subject("", "((z + t*d)*u).sum()", inputs, ("t",)), size
        above = layers[i + 1]
        inputs, size = along(z, slope, run.gradients[str(i + 1)])
        if isinstance(above.module, nn.Linear):
            inputs["w"] = above.module.weight.detach()
        first = "[0]" if run.several and i + 2 == len(layers) else ""
        text = f"{NET} = nn.Identity(); ({NET}(z + t*d){first}*u).sum()"
        program = expression.parse(Source(text), tuple(inputs))
        make, *rest = program.steps
        given = make._replace(kind="constant", value=above.module)
        program = replace(program, steps=(given, *rest))
        return Subject("", text, inputs, ("t",), call=above.call, program=program), size

    return Points(
        name=network.name,
        total=len(reached),
        at=lambda number: layer(number)[0],
        label=lambda number, name, place: network.layers[reached[number]].name,
        what="layers",
        remarks=(NORM,),
        size=lambda number: layer(number)[1],
    )


def _wide(module: nn.Module) -> nn.Module:
    """A copy in float64 on the CPU. Module.double would load PyTorch's fake tensors."""
    named = module.named_parameters()
    return library.with_parameters(module, {n: widened(p).requires_grad_() for n, p in named})
