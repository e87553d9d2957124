"""Faults in what a loss is given: a shape that broadcasts, an activation too many, a flag too late, a
target that the network which is trained computes itself, with its graph (Q-learning).
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from torch import Tensor

from gradcli.watch.detector import Call, Detector, Tensors
from gradcli.watch.finding import Place, also_at
from gradcli.watch.record import Made, leaves_under, made_by, node_of

VIEWS = frozenset(
    f"{name}Backward{version}"
    for name in (
        "View", "UnsafeView", "ReshapeAlias", "Slice", "Select", "Index", "Squeeze", "Unsqueeze", "Transpose", "Permute",
        "T", "Clone", "ToCopy", "Split", "Unbind", "Expand", "IndexSelect", "AsStrided",
    )
    for version in (0, 1, 2)
)  # fmt: skip
"""Nodes that pass numbers on as they are."""
_ENDS = ("MeanBackward0", "SumBackward0")
_ON_THE_WAY = ("PowBackward0", "AbsBackward0", "MulBackward0", "SqrtBackward0", "DivBackward0")
EACH = frozenset(["mse_loss", "l1_loss", "smooth_l1_loss", "huber_loss"])
_BCE = "binary_cross_entropy_with_logits"
_TWICE = {
    ("cross_entropy", "SoftmaxBackward0"): ("double-softmax", "logits, but was given the result of softmax"),
    (_BCE, "SigmoidBackward0"): ("sigmoid-twice", "logits, but was given the result of sigmoid"),
    ("nll_loss", "SoftmaxBackward0"): ("nll-of-probabilities", "log-probabilities, but was given the result of softmax"),
}  # fmt: skip
"""What a loss takes and what it was given, by its name and the node that computed that."""
_EXPONENTIAL = {
    "LogSoftmaxBackward0": "SoftmaxBackward0",
    "LogSigmoidBackward0": "SigmoidBackward0",
}
"""The node that a logarithm becomes by exp."""
_LARGEST = frozenset(["MaxBackward0", "AmaxBackward0"])
_CHOSEN = frozenset(["GatherBackward0", "IndexBackward0"])
_AROUND = VIEWS.union(f"{name}Backward0" for name in ("Add", "Sub", "Mul", "Where")) | {
    "RsubBackward1"
}
"""What a target does with the largest value: adds the reward, discounts, masks the last state."""


class Losses(Detector):
    """Losses that mean something else than what is written."""

    functions = EACH | {
        "cross_entropy", "nll_loss", _BCE, "sub", "__sub__", "__rsub__", "subtract", "rsub", "softmax", "log_softmax",
    }  # fmt: skip

    def __init__(self, watcher: Any) -> None:
        super().__init__(watcher)
        self._differences: dict[int, tuple[tuple[int, ...], tuple[int, ...], Made]] = {}

    def called(self, call: Call) -> None:
        """A loss, or a difference of two tensors, was computed."""
        if not isinstance(call.result, Tensor) or not call.result.requires_grad:
            return
        if "sub" in call.name:
            self._subtracted(call)
        elif call.name in EACH:
            first, second = (tuple(each.shape) for each in call.operands[:2])
            if _broadcasts(first, second):
                self.report("broadcast", call.place, _broadcast(call.name, first, second))
        elif "softmax" in call.name:
            self._normalised(call)
        else:
            self._activated(call)
            self._ignored(call)

    def _subtracted(self, call: Call) -> None:
        """Remember a difference that broadcast, until it is known whether all of it is averaged."""
        if len(call.operands) != 2:
            return
        first, second = call.operands
        shapes = tuple(first.shape), tuple(second.shape)
        if first.requires_grad == second.requires_grad or not _broadcasts(*shapes):
            return
        made = self.watcher.origin(call.result)
        if made is not None and made.place and len(self._differences) < 1_000:
            self._differences[id(made)] = (*shapes, made)

    def before_backward(self, roots: Tensors, inputs: Tensors, place: Place | None) -> None:
        """Check whether the loss is the mean or sum of a power of a difference that broadcast."""
        for root in roots:
            made = self.watcher.origin(root)
            if root.is_leaf and made and made.flag and made.parents and root.requires_grad:
                also = also_at(made.cut.place if made.cut else None, "its graph was lost here")
                text = (
                    "the flag on the loss makes backward() run, but the loss has no graph: no "
                    "parameter gets a gradient"
                )
                self.report("wrong-cure", made.flag, text, also)
            if self._differences and (node := node_of(root)) is not None:
                self._follow(node)
        self._differences.clear()

    def _follow(self, root: Any) -> None:
        waiting = [(root, False, 0)]
        while waiting:
            node, ended, depth = waiting.pop()
            name, made = node.name(), made_by(node)
            if ended and made is not None and id(made) in self._differences:
                text = _broadcast("the difference", *self._differences[id(made)][:2])
                self.report("broadcast", made.place, text)
            # A sum or mean along some dimensions only is not the end.
            ended = ended or (name in _ENDS and not getattr(node, "_saved_dim", None))
            if depth < 12 and (name in _ENDS or name in _ON_THE_WAY or name == "AddBackward0"):
                waiting += [(each, ended, depth + 1) for each, _ in node.next_functions if each]

    def _normalised(self, call: Call) -> None:
        """Without dim, the old default of softmax is the first dimension of three: the batch."""
        dim = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else None)
        if dim is None and call.result.dim() == 3:
            text = (
                f"without dim, {call.name} of shape {list(call.result.shape)} is taken along "
                "dimension 0: it compares the samples of the batch"
            )
            self.report("softmax-dim", call.place, text)

    def _ignored(self, call: Call) -> None:
        """The mean over no target at all is 0 / 0."""
        ignored = call.kwargs.get("ignore_index", -100)
        target = call.operands[1] if len(call.operands) > 1 else None
        if target is None or target.is_floating_point() or not target.numel():
            return
        if bool(call.result.detach().isnan().all()) and bool((target == ignored).all()):
            text = f"all {target.numel()} targets are {ignored}, which is ignored: the mean is nan"
            self.report("ignored-targets", call.place, text)

    def _activated(self, call: Call) -> None:
        given = call.args[0] if call.args else call.kwargs.get("input")
        if not isinstance(given, Tensor):
            return
        node, how = _computed(node_of(given)), ""
        made, name = (made_by(node), node.name()) if node is not None else (None, "")
        if name == "ExpBackward0" and (before := _computed(node.next_functions[0][0])) is not None:
            name, how = _EXPONENTIAL.get(before.name(), ""), ", computed as exp of its logarithm"
        entry, taken = _TWICE.get((call.name, name), ("", ""))
        if not entry and call.name == "nll_loss" and (top := float(given.detach().max())) > 1e-3:
            entry = "nll-of-probabilities"
            taken = f"log-probabilities, none above 0, but the largest is {top:.3g}"
        if entry:
            other = made.place if made and made.place != call.place else None
            also = also_at(other, "it is computed here")
            self.report(entry, call.place, f"{call.name} takes {taken}{how}", also)


def _computed(node: Any) -> Any:
    """The node that computed the numbers which this one passes on; None without one."""
    while node is not None and node.name() in VIEWS:
        node = node.next_functions[0][0] if node.next_functions else None
    return node


def _broadcasts(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    """Whether two tensors of the same elements, such as (N, 1) and (N,), become a table of pairs."""
    core = [size for size in first if size != 1]
    if not core or first == second or core != [size for size in second if size != 1]:
        return False
    return [size for size in np.broadcast_shapes(first, second) if size > 1] != core


def _broadcast(what: str, first: tuple[int, ...], second: tuple[int, ...]) -> str:
    both = list(np.broadcast_shapes(first, second))
    return (
        f"{what} of shapes {list(first)} and {list(second)} broadcasts to {both}: each prediction is "
        "compared with every target"
    )


class MovingTargets(Detector):
    """Compares the graphs of prediction and target."""

    functions = EACH

    def called(self, call: Call) -> None:
        """A loss of a prediction and a target was computed."""
        if ("moving-target", call.place) in self.found or len(call.operands) < 2:
            return
        prediction, target = call.operands[:2]
        if not (prediction.requires_grad and target.requires_grad):
            return
        chosen = next(_first(node_of(prediction), _CHOSEN, VIEWS - _CHOSEN), None)
        largest = [*_first(node_of(target), _LARGEST, _AROUND)] if chosen is not None else []
        if same := [node for node in largest if _same_network(chosen, node)]:
            made = made_by(same[-1])
            also = also_at(made.place if made else None, "the target is computed here")
            text = (
                "the target has a graph that leads to the weights of the prediction, so the "
                "step moves the target too: compute it under torch.no_grad()"
            )
            self.report("moving-target", call.place, text, also)


def _same_network(chosen: Any, largest: Any) -> bool:
    """Whether two outputs of one network are compared, not two values of one output."""
    first, second = chosen.next_functions[0][0], largest.next_functions[0][0]
    if first is None or second is None or first is second:
        return False
    mine = {id(leaf) for leaf in leaves_under(first)}
    return any(id(leaf) in mine for leaf in leaves_under(second))


def _first(node: Any, wanted: frozenset[str], through: frozenset[str]) -> Iterator[Any]:
    """The nodes of a kind that are reached through nodes of other kinds only."""
    waiting = [(node, 0)]
    while waiting:
        node, depth = waiting.pop()
        if node is None:
            continue
        if node.name() in wanted:
            yield node
        elif node.name() in through and depth < 12:
            waiting += [(each, depth + 1) for each, _ in node.next_functions]
