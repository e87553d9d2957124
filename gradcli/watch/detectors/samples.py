"""A sample that a network goes on with, although sample() has no graph, or torch.normal a gradient of
0 by its mean and std.
"""

import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gradcli.core import walk
from gradcli.watch.detector import Call, Detector, Tensors
from gradcli.watch.finding import Also, Finding, Place
from gradcli.watch.record import Made, leaves_of, made_by, made_under, node_of

_LAYERS = frozenset(["linear", "matmul", "__matmul__", "bilinear", "conv1d", "conv2d", "conv3d"])
_DENSITIES = frozenset(
    [
        "sub", "__sub__", "__rsub__", "rsub", "mul", "__mul__", "__rmul__", "div", "__truediv__", "__rtruediv__", "add",
        "__add__", "__radd__", "pow", "__pow__", "xlogy", "gaussian_nll_loss", "mse_loss", "binary_cross_entropy",
        "binary_cross_entropy_with_logits", "poisson_nll_loss",
    ]
)  # fmt: skip
"""What log_prob, or a density by hand, does with a sample and the parameters."""
_UNSCORED = _LAYERS | {"add", "__add__", "__radd__"}
"""What a model goes on with: noise of torch.normal that is added to a mean is not scored."""
_DISCRETE = frozenset(["bernoulli", "multinomial", "poisson", "binomial", "geometric_"])
"""What draws the samples of distributions that have no rsample."""
_NORMAL = frozenset(f"NormalBackward{version}" for version in (1, 2, 3))
"""The nodes of torch.normal, which pass a gradient of 0 on."""
_MIXING = frozenset(["AddmmBackward0", "MmBackward0", "BmmBackward0", "ConvolutionBackward0"])
"""Nodes of layers, after which a sample is no longer one."""
_FEW = 2
"""In how many passes the gradient must be missing."""


@dataclass(slots=True)
class _Normal:
    """A line with torch.normal: the leaves that its mean and std depend on, how many passes went
    through it and reached mean or std by another path too, and through how many the leaves had
    gradients of exactly 0, -1 if after any pass they had others.
    """

    leaves: list[weakref.ref[Tensor]]
    beside: int = 0
    alone: int = 0

    def passed(self, *, through: bool) -> None:
        """A backward pass ended."""
        grads = [leaf.grad for ref in self.leaves if (leaf := ref()) is not None]
        if self.alone >= 0 and any(grad is not None and bool(grad.any()) for grad in grads):
            self.alone = -1
        elif self.alone >= 0:
            self.alone += through


class Samples(Detector):
    """Looks for a loss that reaches the parameters of a distribution, but not through its sample."""

    functions = _LAYERS | _DENSITIES | {"expand", "normal"}

    def __init__(self, watcher: Any) -> None:
        super().__init__(watcher)
        self._parameters: dict[Place, list[Made]] = {}
        """What the parameters were at each place that drew a sample."""
        self._layers: dict[Place, Place] = {}
        """Where a layer was given a sample, and where that was drawn."""
        self._scored: set[Place] = set()
        """Where samples were drawn whose density was computed."""
        self._passes: dict[Place, tuple[int, Place]] = {}
        self._normals: dict[Place, _Normal] = {}

    def called(self, call: Call) -> None:
        """A sample was drawn, or met a layer, or something that has a gradient."""
        place = call.place
        if not torch.is_grad_enabled() and ".sample(" in place.text:
            made = [self.watcher.origin(each) for each in call.operands if each.requires_grad]
            self._parameters.setdefault(place, []).extend(each for each in made if each)
        elif call.name == "normal":
            if call.result.requires_grad and place not in self._normals:
                self._normals[place] = _Normal([*map(weakref.ref, leaves_of(call.result))])
        elif len(call.operands) >= 2:
            first, second = call.operands[:2]
            for operand, other in ((first, second), (second, first)):
                if operand.requires_grad:
                    if self._normals and other.requires_grad and call.name not in _UNSCORED:
                        self._scored |= _normal_before(operand)
                elif (drawn := self._drawn(operand)) is not None:
                    if call.name in _LAYERS:
                        self._layers[place] = drawn
                    elif isinstance(call.result, Tensor) and call.result.requires_grad:
                        self._scored.add(drawn)

    def _drawn(self, tensor: Tensor) -> Place | None:
        """Where a tensor was drawn, if sample() itself switched recording off, and the distribution
        has rsample() too.
        """
        made = self.watcher.origin(tensor)
        cut = made.cut if made is not None else None
        if made is None or cut is None or cut.place is None or cut.off is None:
            return None
        by_itself = cut.kind == "no-grad-block" and cut.off.address == cut.place.address
        if not by_itself or ".sample(" not in cut.place.text:
            return None
        place: Place = cut.place
        return None if any(each.name in _DISCRETE for each in made.ancestors()) else place

    def after_backward(self, roots: Tensors, inputs: Tensors, place: Place | None) -> None:
        """See whether this pass went through a layer behind a sample, and to its parameters."""
        if self._layers and not inputs:
            made = [each for _, each in made_under(roots)]
            known = {id(each) for each in made}
            for where in {each.place for each in made if each.place in self._layers}:
                assert where
                drawn = self._layers[where]
                # One line has several places, one for each of its instructions.
                items = self._parameters.items()
                here = [each for at, some in items if at.address == drawn.address for each in some]
                if any(id(each) in known for each in here):
                    count, first = self._passes.get(drawn, (0, where))
                    self._passes[drawn] = count + 1, first
        self._layers.clear()
        self._parameters.clear()
        if self._normals and not inputs:
            self._passed(roots)

    def _passed(self, roots: Tensors) -> None:
        """See whether this pass went through torch.normal, and beside it to its mean or std."""
        beside = {node for node, _ in walk(map(node_of, roots), 2_000, _NORMAL)}
        through: dict[Place, bool] = {}
        for node, made in made_under(roots):
            if node.name() in _NORMAL and made.place in self._normals:
                through[made.place] = any(each in beside for each, _ in node.next_functions)
        for place, normal in self._normals.items():
            normal.passed(through=place in through)
            normal.beside += through.get(place, False)

    def ended(self, error: BaseException | None) -> Iterable[Finding]:
        """The samples that should have had a gradient."""
        for place, (count, layer) in self._passes.items():
            if error is None and count >= _FEW and place not in self._scored:
                text = (
                    "sample() draws without a graph, so the loss has no gradient through it to the "
                    "parameters of the distribution: rsample() has one"
                )
                yield Finding("sampled", place, text, (Also(layer, "a layer goes on with it"),))
        for place, normal in self._normals.items():
            lost = max(normal.beside, normal.alone) >= _FEW
            if error is None and lost and place not in self._scored:
                text = (
                    "the gradient of torch.normal by its mean and std is 0, so what computes them learns "
                    "nothing through the sample: torch.distributions.Normal(mean, std).rsample() has one"
                )
                yield Finding("sampled", place, text)


def _normal_before(tensor: Tensor) -> set[Place]:
    """Where torch.normal drew a tensor of the graph, if no layer has changed it since."""
    node = node_of(tensor)
    for _ in range(20):
        if node is None or node.name() in _MIXING:
            break
        if node.name() in _NORMAL:
            return {made.place} if (made := made_by(node)) and made.place else set()
        node = next((each for each, _ in node.next_functions if each is not None), None)
    return set()
