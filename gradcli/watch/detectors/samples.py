"""A sample of a distribution that a network goes on with, although sample() has no gradient."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

from gradcli.watch.detector import Call, Detector, Tensors
from gradcli.watch.finding import Also, Finding, Place
from gradcli.watch.record import Made, made_under

_LAYERS = frozenset(["linear", "matmul", "__matmul__", "bilinear", "conv1d", "conv2d", "conv3d"])
_DENSITIES = frozenset(
    [
        "sub", "__sub__", "__rsub__", "rsub", "mul", "__mul__", "__rmul__", "div", "__truediv__", "__rtruediv__", "add",
        "__add__", "__radd__", "pow", "__pow__", "xlogy", "gaussian_nll_loss", "mse_loss", "binary_cross_entropy",
        "binary_cross_entropy_with_logits", "poisson_nll_loss",
    ]
)  # fmt: skip
"""What log_prob, or a density by hand, does with a sample and the parameters."""
_DISCRETE = frozenset(["bernoulli", "multinomial", "poisson", "binomial", "geometric_"])
"""What draws the samples of distributions that have no rsample."""


class Samples(Detector):
    """Looks for a loss that reaches the parameters of a distribution, but not through its sample."""

    functions = _LAYERS | _DENSITIES | {"expand"}

    def __init__(self, watcher: Any) -> None:
        super().__init__(watcher)
        self._parameters: dict[Place, list[Made]] = {}
        """What the parameters were at each place that drew a sample."""
        self._layers: dict[Place, Place] = {}
        """Where a layer was given a sample, and where that was drawn."""
        self._scored: set[Place] = set()
        """Where samples were drawn whose density was computed."""
        self._passes: dict[Place, tuple[int, Place]] = {}

    def called(self, call: Call) -> None:
        """A sample was drawn, or met a layer, or something that has a gradient."""
        place = call.place
        if place is None:
            return
        if not torch.is_grad_enabled() and ".sample(" in place.text:
            made = [self.watcher.origin(each) for each in call.operands if each.requires_grad]
            self._parameters.setdefault(place, []).extend(each for each in made if each)
        elif len(call.operands) >= 2:
            for operand in call.operands[:2]:
                if not operand.requires_grad and (drawn := self._drawn(operand)) is not None:
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

    def ended(self, error: BaseException | None) -> Iterable[Finding]:
        """The samples that should have had a gradient."""
        for place, (count, layer) in self._passes.items():
            if error is None and count >= 2 and place not in self._scored:
                text = (
                    "sample() draws without a graph, so the loss has no gradient through it to the "
                    "parameters of the distribution: rsample() has one"
                )
                yield Finding("sampled", place, text, (Also(layer, "a layer goes on with it"),))
