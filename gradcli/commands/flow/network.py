"""A network as `flow` sees it: its layers, one run of them, and the gradient in each."""

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gradcli import core
from gradcli.commands.flow.result import NetLayer
from gradcli.errors import ExpressionError, GradcliError
from gradcli.evaluate import growth, implementations, library
from gradcli.evaluate.failures import explained
from gradcli.evaluate.job import Job
from gradcli.evaluate.networks import function_of
from gradcli.evaluate.refusals import translated
from gradcli.language.calls import Call
from gradcli.language.expressions.program import Step
from gradcli.language.limits import ELEMENTS
from gradcli.language.source import Span

FLAT = 0.1
"""An output is saturated where the activation's slope is at most this part of its largest slope."""
STEADY = (0.9, 1.1)
"""A factor per layer between these is steady: over 20 layers the gradient changes 8-fold at most."""
FEW = (2 / 3, 3 / 2)
"""So is a change between these over all layers: a few layers, as large as the noise of their weights."""
INIT_FUNCTIONS = {
    "xavier": ("xavier_normal_", {}),
    "kaiming": ("kaiming_normal_", {"nonlinearity": "relu"}),
    "normal": ("normal_", {}),
}
"""The function of nn.init and its arguments, after X. Glorot and Y. Bengio (2010) and K. He et al.
(2015); `default` keeps the weights that PyTorch drew."""
DRAWN = (nn.Linear, nn.modules.conv._ConvNd)
"""The layers whose weights --init draws."""


class Slopes(NamedTuple):
    """An elementwise activation, `call`, and its slopes: one of at most `flat`, which is FLAT times the
    largest, counts as saturated. A `switch` passes a gradient on unchanged or not at all.
    """

    call: Call
    flat: float
    switch: bool


def slopes_of(call: Call, job: Job) -> Slopes:
    """The slopes of an activation between -10 and 10."""
    z = torch.linspace(-10, 10, 2001, dtype=job.dtype, device=job.device)
    with translated(call.text, {}):
        slope = core.slopes(implementations.activation(call), z)[1].abs()
    flat = float(f"{FLAT * float(slope.max()):.3g}")
    return Slopes(call, flat, bool(((slope == 0) | (slope == 1)).all()))


class Layer(NamedTuple):
    """A layer by its name: a module at its place in the user's text, or a layer of a stack, which has
    no place and may be a function. An elementwise activation has `slopes`.
    """

    name: str
    module: Any
    slopes: Slopes | None = None
    span: Span | None = None

    @property
    def kind(self) -> str:
        """The name of its class."""
        return type(self.module).__name__

    @property
    def title(self) -> str:
        """The name, and of a module the class."""
        return f"{self.name} ({self.kind})" if self.span else self.name

    @property
    def modules(self) -> list[nn.Module]:
        """Its module and the parts of that; none of a function."""
        return [*self.module.modules()] if isinstance(self.module, nn.Module) else []

    @property
    def parameters(self) -> list[nn.Parameter]:
        """All of its parameters."""
        return [*self.module.parameters()] if self.modules else []

    @property
    def weights(self) -> list[nn.Parameter]:
        """Its weights, each of two or more dimensions; not those of a normalisation."""
        return [p for p in self.parameters if p.ndim > 1 and "Norm" not in self.kind]

    @property
    def part(self) -> str:
        """What its factor counts to in the verdict."""
        if self.slopes:
            return "the slopes"
        return "the weights" if self.weights else f"nn.{self.kind}"

    def applied(self, h: Tensor, job: Job) -> Any:
        """Its output for an input `h` of a shape that it takes. Raises a GradcliError at its place
        for what PyTorch refuses.
        """
        if self.span is None:
            return self.module(h)
        step = Step("apply", self.span, 2, self.kind)
        job.before(step, [self.module, h])
        try:
            if written := function_of(self.module):
                path, operands, keywords = written
                growth.checker(path.rpartition(".")[2])((h, *operands), keywords)
            return library.apply(self.module, h)
        except GradcliError as error:
            error.span = error.span or self.span
            raise
        except Exception as error:  # whatever PyTorch raises for the user's layer
            refused = explained(error, step, [self.module, h], {})
            refused.message = f"{self.name}: {refused.message}"
            raise refused from None


class Change(NamedTuple):
    """The logarithm of what multiplies the gradient on its way back from layer `last` to layer
    `first`, and how many `steps` of layers with weights that is.
    """

    log: float
    steps: int
    first: int
    last: int
    few: bool
    """Whether a few layers are judged by the total."""

    @property
    def factor(self) -> float:
        """The factor per layer."""
        return math.exp(self.log / self.steps)

    @property
    def steady(self) -> bool:
        """Whether the gradient stays about as it is."""
        total = self.few and math.log(FEW[0]) <= self.log <= math.log(FEW[1])
        return total or is_steady(self.factor)

    @property
    def word(self) -> str:
        """What becomes of the gradient."""
        return "steady" if self.steady else "vanishing" if self.log < 0 else "exploding"


def is_steady(factor: float) -> bool:
    """Whether a factor per layer keeps a gradient about as it is."""
    return STEADY[0] <= factor <= STEADY[1]


class Network(NamedTuple):
    """Layers, and what they are run on: their input `x`, the gradient for the output of the last, in
    the shape of that, and PyTorch's generator; a stack has the gradient, a user's network the state.
    """

    name: str
    layers: list[Layer]
    x: Tensor
    upstream: Tensor | None = None
    state: Tensor | None = None

    @property
    def stack(self) -> bool:
        """Whether it is the stack of --activation."""
        return self.state is None

    @property
    def counted(self) -> list[int]:
        """The layers between which the factor per layer is taken: those with weights, or else all."""
        weighted = [i for i, layer in enumerate(self.layers) if layer.weights]
        return weighted if len(weighted) > 1 else [*range(len(self.layers))]

    @property
    def shown(self) -> Sequence[int]:
        """The layers whose gradients are shown."""
        return self.counted if self.stack else range(len(self.layers))

    def change(self, run: "Run") -> Change | None:
        """What becomes of the gradient between the layers where it has a size; None without two."""
        norms = run.norms
        usable = [(n, i) for n, i in enumerate(self.counted) if 0 < norms.get(i, 0) < math.inf]
        if len(usable) < 2:
            return None
        (n, first), *_, (m, last) = usable
        log = math.log(norms[first]) - math.log(norms[last])
        return Change(log, m - n, first, last, few=not self.stack)

    def drawn(self) -> list[nn.Module]:
        """The parts whose weights --init draws, each once."""
        parts = (part for layer in self.layers for part in layer.modules)
        return list(dict.fromkeys(part for part in parts if isinstance(part, DRAWN)))


class Run(NamedTuple):
    """What each layer was given and its output, and the gradients, each in the shape of what it is
    by: `x`, outputs, under the number of the layer, and weights, under that number and their own.
    `upstream` has the shape of the last output.
    """

    given: list[Tensor]
    outputs: list[Tensor]
    upstream: Tensor
    gradients: dict[str, Tensor | None]
    norms: dict[int, float]
    """The norms of the gradients for outputs, where there are any."""
    several: bool
    """Whether the last layer gives several results, of which the first counts."""


def run(network: Network, job: Job, *, ends: bool = False) -> Run:
    """Run the layers one after another, and differentiate (output * upstream).mean(), where a missing
    upstream gradient is drawn, on the CPU as every number. With `ends` only by the outputs of the
    first and the last layer that count.
    """
    if network.state is not None:
        torch.set_rng_state(network.state)
    floating = ["x"] if network.x.is_floating_point() and not network.stack else []
    h = x = core.require_grad({"x": network.x}, floating)["x"]
    outputs, several = [], False
    for layer in network.layers:
        h = layer.applied(h, job)
        if not isinstance(h, Tensor):
            if layer is not network.layers[-1]:
                message = f"{layer.title} gives several results, and the next layer takes one"
                hint = "flow follows one path: such a layer can only be the last"
                raise ExpressionError(message, span=layer.span, hint=hint)
            h, several = h[0], True
        ELEMENTS.check(h.numel(), layer.title, span=layer.span)
        outputs.append(h)
    upstream = network.upstream
    if upstream is None:
        upstream = torch.randn(h.shape, device="cpu").to(h.device)
    places = network.counted[:: max(len(network.counted) - 1, 1)] if ends else range(len(outputs))
    by = {str(i): outputs[i] for i in places if outputs[i].requires_grad}
    if not ends and not network.stack:
        by |= {"x": x} if floating else {}
        weights = [(i, w) for i, layer in enumerate(network.layers) for w in layer.weights]
        by |= {f"{i} {n}": weight for n, (i, weight) in enumerate(weights)}
    gradients = core.gradients((h * upstream).mean(), by, keep=True)
    norms = {i: float(norm(gradients[str(i)])) for i in places if gradients.get(str(i)) is not None}
    return Run([x, *outputs[:-1]], outputs, upstream, gradients, norms, several)


def norm(*gradients: Tensor | None) -> Tensor:
    """The norm of all elements in float64, 0-d: in float32 the squares of small numbers are 0."""
    norms = [torch.linalg.vector_norm(g.double()) for g in gradients if g is not None]
    whole: Tensor = norms[0] if len(norms) == 1 else torch.linalg.vector_norm(torch.stack(norms))
    return whole


def slope_at(done: Run, i: int) -> Tensor:
    """The size of the slope of an activation, layer `i` of a run, in the shape of its input."""
    slope = core.gradients(done.outputs[i].sum(), {"z": done.given[i]}, keep=True)["z"]
    assert slope is not None
    return slope.abs()


def rows_of(network: Network, done: Run) -> list[NetLayer]:
    """The numbers of each layer of a run."""
    return [_row(network, done, i) for i in range(len(network.layers))]


def _row(network: Network, done: Run, i: int) -> NetLayer:
    layer, values = network.layers[i], done.outputs[i].detach().double()
    own, below = (done.gradients.get(key) for key in (str(i), str(i - 1) if i else "x"))
    by_weights = [g for key, g in done.gradients.items() if key.startswith(f"{i} ")]
    saturated = off = dead = None
    if layer.slopes and done.given[i].requires_grad:
        slope = slope_at(done, i)
        share = (slope <= layer.slopes.flat).double().mean()
        switch = layer.slopes.switch and not network.stack
        saturated, off = (None, share) if switch else (share, None)
        if slope.ndim > 1 and len(slope) > 1 and not network.stack:
            dead = (slope == 0).all(0).double().mean()
    return NetLayer(
        layer=i + 1,
        name=layer.name,
        module=layer.kind,
        activation=layer.slopes.call.entry.name if layer.slopes else None,
        shape=list(values.shape),
        gradient_norm=None if own is None else norm(own),
        factor=norm(below) / norm(own) if below is not None and done.norms.get(i) else None,
        weight_gradient_norm=norm(*by_weights) if by_weights else None,
        mean=values.mean(),
        std=values.std() if values.numel() > 1 else None,
        saturated=saturated,
        off=off,
        dead=dead,
    )


def initialise(layers: Iterable[Any], init: str) -> None:
    """Draw the weight of each layer, [outputs, inputs, ...], again, and set its bias to 0."""
    if init == "default":
        return
    function, arguments = INIT_FUNCTIONS[init]
    for layer in layers:
        empty = torch.empty(layer.weight.shape, device="cpu")
        with torch.no_grad():
            layer.weight.copy_(getattr(nn.init, function)(empty, **arguments))
            if isinstance(layer.bias, Tensor):
                layer.bias.zero_()
