"""Faults in what a loss is given: a shape that broadcasts, an activation too many, a flag too late."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar

from torch import Tensor

from gradcli.watch.detector import Call, Detector
from gradcli.watch.finding import Also, Finding, Place
from gradcli.watch.operands import shape_text
from gradcli.watch.record import Made, made_by, node_of

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


class Losses(Detector):
    """Losses that mean something else than what is written."""

    functions: ClassVar[frozenset[str]] = EACH | {
        "cross_entropy", "nll_loss", "binary_cross_entropy_with_logits", "sub", "__sub__", "__rsub__", "subtract", "rsub",
        "softmax", "log_softmax",
    }  # fmt: skip

    def __init__(self, watcher: Any) -> None:
        super().__init__(watcher)
        self._found: dict[tuple[str, Place], Finding] = {}
        self._differences: dict[int, tuple[tuple[int, ...], tuple[int, ...], Made]] = {}

    def called(self, call: Call) -> None:
        """A loss, or a difference of two tensors, was computed."""
        place = call.place
        if place is None or not isinstance(call.result, Tensor) or not call.result.requires_grad:
            return
        if "sub" in call.name:
            self._subtracted(call)
        elif call.name in EACH:
            first, second = (tuple(each.shape) for each in call.operands[:2])
            if _broadcasts(first, second):
                self._report("broadcast", place, _broadcast(call.name, first, second))
        elif "softmax" in call.name:
            self._normalised(call, place)
        else:
            self._activated(call, place)
            self._ignored(call, place)

    def _subtracted(self, call: Call) -> None:
        """Remember a difference that broadcast, until it is known whether all of it is averaged."""
        if len(call.operands) != 2:
            return
        first, second = call.operands
        shapes = tuple(first.shape), tuple(second.shape)
        if first.requires_grad == second.requires_grad or not _broadcasts(*shapes):
            return
        made = self.watcher.origin(call.result)
        if made is not None and len(self._differences) < 1_000:
            self._differences[id(made)] = (*shapes, made)

    def before_backward(
        self, roots: Sequence[Tensor], inputs: Sequence[Tensor], place: Place | None
    ) -> None:
        """Look whether the loss is the mean or sum of a power of a difference that broadcast."""
        for root in roots:
            made = self.watcher.origin(root)
            if root.is_leaf and made and made.flag and made.parents and root.requires_grad:
                shown = made.cut.place if made.cut else None
                also = (Also(shown, "its graph was lost here"),) if shown else ()
                text = (
                    "the flag on the loss makes backward() run, but the loss has no graph: no "
                    "parameter gets a gradient"
                )
                self._report("wrong-cure", made.flag, text, also)
            if self._differences and (node := node_of(root)) is not None:
                self._follow(node)
        self._differences.clear()

    def _follow(self, root: Any) -> None:
        waiting = [(root, False, 0)]
        while waiting:
            node, ended, depth = waiting.pop()
            name, made = node.name(), made_by(node)
            if ended and made is not None and id(made) in self._differences:
                first, second, _ = self._differences[id(made)]
                if made.place is not None:
                    self._report(
                        "broadcast", made.place, _broadcast("the difference", first, second)
                    )
            ended = ended or (name in _ENDS and not _along(node))
            if depth < 12 and (name in _ENDS or name in _ON_THE_WAY or name == "AddBackward0"):
                waiting += [(each, ended, depth + 1) for each, _ in node.next_functions if each]

    def _normalised(self, call: Call, place: Place) -> None:
        """Without dim, the old default of softmax is the first dimension of three: the batch."""
        dim = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else None)
        if dim is None and call.result.dim() == 3:
            text = (
                f"without dim, {call.name} of shape {shape_text(call.result.shape)} is taken along "
                "dimension 0: it compares the samples of the batch"
            )
            self._report("softmax-dim", place, text)

    def _ignored(self, call: Call, place: Place) -> None:
        """The mean over no target at all is 0 / 0."""
        ignored = call.kwargs.get("ignore_index", -100)
        target = call.operands[1] if len(call.operands) > 1 else None
        if target is None or target.is_floating_point() or not target.numel():
            return
        if bool(call.result.detach().isnan().all()) and bool((target == ignored).all()):
            text = f"all {target.numel()} targets are {ignored}, which is ignored: the mean is nan"
            self._report("ignored-targets", place, text)

    def _activated(self, call: Call, place: Place) -> None:
        given = call.args[0] if call.args else call.kwargs.get("input")
        if not isinstance(given, Tensor):
            return
        node = _source(node_of(given))
        name = node.name() if node is not None else ""
        made = made_by(node) if node is not None else None
        what = ""
        if call.name == "cross_entropy" and name == "SoftmaxBackward0":
            entry = "double-softmax"
            what = "cross_entropy takes logits, but was given the result of softmax"
        elif call.name == "binary_cross_entropy_with_logits" and name == "SigmoidBackward0":
            entry = "sigmoid-twice"
            what = f"{call.name} takes logits, but was given the result of sigmoid"
        elif call.name == "nll_loss" and name == "SoftmaxBackward0":
            entry = "nll-of-probabilities"
            what = "nll_loss takes log-probabilities, but was given the result of softmax"
        elif call.name == "nll_loss" and (largest := float(given.detach().max())) > 1e-3:
            entry = "nll-of-probabilities"
            what = (
                f"nll_loss takes log-probabilities, none above 0, but the largest is {largest:.3g}"
            )
        if what:
            other = made.place if made and name else None
            also = (Also(other, "it is computed here"),) if other and other != place else ()
            self._report(entry, place, what, also)

    def _report(self, entry: str, place: Place, text: str, also: tuple[Also, ...] = ()) -> None:
        self._found.setdefault((entry, place), Finding(entry, place, text, also))

    def ended(self, error: BaseException | None) -> Iterable[Finding]:
        """What was found, in the order in which it happened."""
        return self._found.values()


def _broadcasts(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    """Whether two tensors of the same elements, such as (N, 1) and (N,), become a table of pairs."""
    core = [size for size in first if size != 1]
    if not core or first == second or core != [size for size in second if size != 1]:
        return False
    rank = max(len(first), len(second))
    pairs = zip(_padded(first, rank), _padded(second, rank), strict=True)
    return [max(sizes) for sizes in pairs if max(sizes) > 1] != core


def _padded(shape: tuple[int, ...], rank: int) -> tuple[int, ...]:
    return (1,) * (rank - len(shape)) + shape


def _broadcast(what: str, first: tuple[int, ...], second: tuple[int, ...]) -> str:
    rank = max(len(first), len(second))
    pairs = zip(_padded(first, rank), _padded(second, rank), strict=True)
    result = tuple(max(sizes) for sizes in pairs)
    return (
        f"{what} of shapes {shape_text(first)} and {shape_text(second)} broadcasts to {shape_text(result)}: each prediction is "
        "compared with every target"
    )


def _along(node: Any) -> bool:
    """Whether a sum or mean goes along some dimensions only."""
    return bool(getattr(node, "_saved_dim", None))


def _nodes(node: Any) -> Iterator[Any]:
    while node is not None:
        yield node
        node = node.next_functions[0][0] if node.next_functions else None


def _source(node: Any) -> Any:
    """The node that computed the numbers which views pass on."""
    return next((each for each in _nodes(node) if each.name() not in VIEWS), None)
