"""Faults in the numbers: the first one that is not finite, layers that are dead, weights that start
at zero, and values changed behind the back of autograd.
"""

import math
import weakref
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from gradcli.core import walk
from gradcli.watch.detector import Call, Detector, Tensors
from gradcli.watch.detectors.loss_calls import VIEWS
from gradcli.watch.finding import Finding, Place, also_at
from gradcli.watch.operands import described, source
from gradcli.watch.record import leaves_of, made_under, node_of, places_below, saved_by, storage_of

_LOGS = frozenset(["log", "log2", "log10", "log_"])
_ROOTS = frozenset(["sqrt", "rsqrt", "sqrt_"])
_POWERS = frozenset(["pow", "__pow__"])
_EXPS = frozenset(["exp", "exp_"])
_ARCS = frozenset(["acos", "asin", "arccos", "arcsin"])
_OTHERS = frozenset(["div", "__truediv__", "__rtruediv__", "true_divide", "softmax"])
_SPECTRA = {"linalg_eigh": 0, "linalg_svd": 1, "svd": 1}
"""Which of their results are the eigenvalues or singular values, in order."""
_RELUS = frozenset(["relu", "relu_"])
_SUMMING = VIEWS | {
    "MeanBackward0", "MeanBackward1", "SumBackward0", "SumBackward1", "MaxBackward0", "MaxBackward1",
    "AddBackward0", "MulBackward0", "DivBackward0", "PowBackward0", "SqrtBackward0", "StackBackward0",
}  # fmt: skip
"""Nodes between a loss and its terms. A ReLU that is such a term is a hinge, whose zeros mean success."""
_LOG_OF_0 = "the logarithm of 0, which is -inf"
_TOO_LARGE = "the learning rate is too large"
_FEW = 5
"""How many times in turn a layer must be dead."""


@dataclass(slots=True)
class _Relu:
    """One use of ReLU: how often in turn, and for how many rows, all of it was 0."""

    place: Place
    shape: tuple[int, ...]
    calls: int = 0
    dead: int = 0
    rows: int = 0
    before: list[weakref.ref[Tensor]] = field(default_factory=list)
    """The leaves that its input depends on, while it has been dead in all calls."""
    starved: int = 0
    """In how many backward passes their gradients were all 0; -1 if they ever were not. Three passes
    are enough: nothing before the ReLU can have changed.
    """

    def fed(self) -> None:
        """See whether a backward pass gave them a gradient."""
        leaves = [leaf for ref in self.before if (leaf := ref()) is not None]
        grads = [leaf.grad for leaf in leaves if leaf.grad is not None]
        if grads and self.starved >= 0:
            self.starved = -1 if any(bool(grad.any()) for grad in grads) else self.starved + 1


@dataclass(slots=True)
class _Zeros:
    """A matrix of zeros that has only had zero gradients: where it was set to zero, and how many."""

    ref: weakref.ref[Tensor]
    shape: tuple[int, ...]
    place: Place | None
    count: int = 1


class Numbers(Detector):
    """Looks at numbers where they may go wrong, and only there."""

    functions = (
        _LOGS | _ROOTS | _POWERS | _EXPS | _ARCS | _OTHERS | _RELUS | _SPECTRA.keys() | {"where"}
    )

    def __init__(self, watcher: Any) -> None:
        super().__init__(watcher)
        self._doubtful: list[tuple[str, Place, str]] = []
        """In this pass: numbers that are not finite, or whose derivative is not."""
        self._wheres: deque[Place] = deque(maxlen=50)
        self._values: deque[float] = deque(maxlen=200)
        self._relus: dict[tuple[int, tuple[int, ...]], _Relu] = {}
        self._hinges: set[Place] = set()
        """Where ReLU computed a term of a loss."""
        self._changed: deque[tuple[int, Place, int, tuple[int, ...]]] = deque(maxlen=200)
        """Writes through .data: the storage, where, when, and the shape."""
        self._zeros: dict[int, _Zeros] = {}
        """Matrices of zeros that have only had zero gradients."""
        self._passes = 0
        self._optimizer: Place | None = None
        self._broken = False
        self._spoilt: Finding | None = None
        """What is wrong with the last backward pass if its loss or a gradient is not finite. A step
        makes it a fault; a scaler of gradients and a careful program leave that step out.
        """

    def called(self, call: Call) -> None:
        """A function was called whose result or derivative may not be finite."""
        place, result = call.place, call.result
        if call.name in _SPECTRA:
            values = result[_SPECTRA[call.name]].detach()
            if not bool(values.diff().all()):
                text = "two eigenvalues or singular values are equal here, so their vectors have no derivative"
                self._doubtful.append(("eigenvector-nan", place, text))
        if not isinstance(result, Tensor) or not result.is_floating_point():
            return
        if call.name in _RELUS:
            if result.requires_grad:
                self._rectified(place, result)
        elif call.name == "where":
            self._wheres.append(place)
        elif not self._broken and len(self._doubtful) < 50 and (doubt := self._doubt(call)):
            self._doubtful.append((doubt[0], place, doubt[1]))

    def _doubt(self, call: Call) -> tuple[str, str] | None:
        """The entry and the words for a result, or a derivative, that is not finite."""
        name, result = call.name, call.result.detach()
        given = call.operands[0].detach() if call.operands else None
        if bool(result.isfinite().all()):
            if name in _ROOTS and call.result.requires_grad and not bool(result.all()):
                text = "the square root of exactly 0 has an infinite derivative; times 0 it is nan"
                return "nan-sqrt", text
            if name in _ARCS and given is not None and bool((given.abs() == 1).any()):
                return (
                    "anomaly",
                    f"{name} has an infinite derivative at 1 and -1; times 0 it is nan",
                )
            return None
        if given is None or not all(bool(each.isfinite().all()) for each in call.operands):
            if name == "softmax" and bool(result.isnan().any()) and given is not None:
                dim = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else -1)
                if isinstance(dim, int) and bool((given == -float("inf")).all(dim).any()):
                    return "masked-row", "softmax of a row in which all numbers are -inf is nan"
            return None
        low, text = float(given.min()), "the first number that is not finite"
        if name in _LOGS:
            text = f"the logarithm of {low:.3g}, which is nan" if low else _LOG_OF_0
        elif name in _ROOTS or name in _POWERS:
            text = f"{name.strip('_')} of {low:.3g}"
        elif name in _EXPS:
            text = f"exp({float(given.max()):.4g}) overflows to inf"
        made = self.watcher.origin(call.operands[0])
        small = text is _LOG_OF_0 and made and any(it.name == "softmax" for it in made.ancestors())
        return "underflow" if small else "not-a-number", text

    def _rectified(self, place: Place, result: Tensor) -> None:
        key = id(place), tuple(result.shape[1:])
        relu = self._relus.get(key)
        if relu is None:
            if len(self._relus) >= 1_000:
                return
            relu = self._relus[key] = _Relu(place, key[1])
        relu.calls += 1
        if bool(result.detach().any()):
            relu.dead = relu.rows = 0
        else:
            relu.dead += 1
            relu.rows += len(result) if result.dim() > 1 else 1
            if relu.dead == relu.calls < _FEW and relu.starved >= 0:
                relu.before = [weakref.ref(leaf) for leaf in leaves_of(result)]

    # --- writes through .data ---------------------------------------------------------------------

    def wrote(self, tensor: Tensor, name: str, before: int, place: Place | None) -> None:
        """Remember a write through .data until the next backward passes."""
        made = self.watcher.origin(tensor) if not tensor.requires_grad else None
        if made is not None and made.name == ".data" and place is not None and name != ".data=":
            tick = self.watcher.record.tick
            self._changed.append((storage_of(tensor), place, tick, tuple(tensor.shape)))

    def _needed(self, roots: Sequence[Tensor]) -> None:
        """Look for a node that saved a value which was changed through .data since."""
        writes = {storage: (place, tick, shape) for storage, place, tick, shape in self._changed}
        writes.pop(0, None)  # tensors without memory of their own
        for node, made in made_under(roots):
            for saved in saved_by(node):
                write = writes.get(storage_of(saved))
                if write is not None and write[1] > made.tick:
                    place, _, shape = write
                    also = also_at(made.place, f"{made.name} saved it")
                    text = (
                        f"this write through .data changes a value of shape {list(shape)} that the "
                        f"backward pass of {made.name} still needs: the gradient is wrong"
                    )
                    self.found["data-attribute"] = Finding("data-attribute", place, text, also)
                    return

    # --- backward passes --------------------------------------------------------------------------

    def given(self, optimizer: Any, place: Place | None) -> None:
        """An optimizer was made."""
        self._optimizer = self._optimizer or place

    def before_backward(self, roots: Tensors, inputs: Tensors, place: Place | None) -> None:
        """Look at the loss."""
        if self._changed and "data-attribute" not in self.found:
            self._needed(roots)
        if self._passes > 200 or self._broken:
            return
        self._spoilt = None
        if self._relus:
            self._hinges |= places_below(roots, "ReluBackward0", _SUMMING)
        for root in roots:
            if root.numel() == 1 and not root.is_complex():
                value = float(root.detach())
                if not math.isfinite(value):
                    self._blame(f"the loss is {value}", place, root)
                self._values.append(value)

    def after_backward(self, roots: Tensors, inputs: Tensors, place: Place | None) -> None:
        """Look at the gradients, if something may have spoilt them."""
        self._passes += 1
        if not inputs and self._passes <= 200:
            for root in roots:
                self._look(root, place)
            for relu in self._relus.values():
                relu.fed()
        self._doubtful.clear()
        self._wheres.clear()

    def _look(self, root: Tensor, place: Place | None) -> None:
        for leaf in leaves_of(root):
            grad = leaf.grad
            if grad is None:
                continue
            numbers = _numbers(grad)
            if not (self._broken or self._spoilt or math.isfinite(float(numbers.sum().abs()))) and (
                not bool(numbers.isfinite().all())
                if self._doubtful
                else bool(numbers.isnan().any())
            ):  # a slope that is infinite on paper too is not a fault of the program
                self._blame("the loss is finite, its gradient is not", place, root)
            known = self._zeros.get(id(leaf))
            if leaf.dim() >= 2 and (known is not None or self._passes == 1):
                if bool(grad.any()) or bool(leaf.detach().any()):
                    self._zeros.pop(id(leaf), None)
                elif known is None:
                    place = self._written(leaf)
                    self._zeros[id(leaf)] = _Zeros(weakref.ref(leaf), tuple(leaf.shape), place)
                elif known.ref() is leaf:
                    known.count += 1

    def stepping(self, optimizer: Any, place: Place | None) -> None:
        """See whether a step uses a gradient that is not finite; with `found_inf` it may skip itself."""
        given = [each for group in optimizer.param_groups for each in group["params"]]
        grads = [_numbers(each.grad) for each in given if each.grad is not None]
        scaled = getattr(optimizer, "found_inf", None) is not None
        if self._spoilt and not scaled and not all(bool(it.isfinite().all()) for it in grads):
            self._broken = True
            self.found["finite"] = self._spoilt

    def _blame(self, shown: str, place: Place | None, root: Tensor) -> None:
        """Say which operation made the first number that is not finite."""
        finite = "its gradient" in shown
        self._broken = bool(self._doubtful)
        also = also_at(place, shown)
        if self._doubtful:
            entry, where, text = self._doubtful[0]
            if text is _LOG_OF_0 and _is_entropy(root):
                entry = "nan-xlogx"
            if finite and entry != "nan-sqrt" and self._wheres:
                entry, where = "nan-where", self._wheres[-1]
                text = f"torch.where hides {text}, but its gradient is 0 times inf: nan"
            self.found["finite"] = Finding(entry, where, text, also)
            return
        if finite and place is not None:
            text = (
                "the loss is finite, but this backward pass gives a gradient with nan: "
                "torch.autograd.set_detect_anomaly(True) names the operation"
            )
            self._spoilt = Finding("anomaly", place, text)
            return
        first, last = (self._values[0], self._values[-1]) if len(self._values) >= 2 else (0, 0)
        if self._optimizer and first > 0 and last == max(self._values) and last > 1e4 * first:
            text = f"the loss grew from {first:.3g} to {last:.3g} and beyond: {_TOO_LARGE}"
            self.found["finite"] = Finding("learning-rate", self._optimizer, text, also)
            self._broken = True
        elif (found := self._first(root)) is not None:
            self._spoilt = Finding("not-a-number", *found, also)

    def _first(self, root: Tensor) -> tuple[Place, str] | None:
        """The line that made the first tensor that is not finite among those that the graph of a loss
        has saved, and what it is; the loss itself where that was not seen.
        """
        saved = [
            (not bool(tensor.isnan().any()), node._sequence_nr(), tensor)
            for node, _ in walk([node_of(root)], 2_000)
            for tensor in saved_by(node)
            if tensor.is_floating_point() and not bool(tensor.isfinite().all())
        ]
        earliest = min(saved, key=lambda each: each[:2], default=(True, 0, root))[2]
        for tensor in (earliest, root):
            operand = described([tensor], self.watcher.origin, None, self.watcher.places)[0]
            place = operand.place if tensor.requires_grad else source(operand)
            if place is not None:
                what = "nan" if bool(tensor.isnan().any()) else "inf"
                data = "the data" if not tensor.requires_grad else operand.name
                text = f"{data} of shape {list(tensor.shape)} from this line hold {what}"
                return place, f"{text}, which spreads to the loss"
        return None

    def _diverged(self) -> float | None:
        """The loss at the beginning, if the losses grew without end from there."""
        values = list(self._values)
        if len(values) < 5 or min(values) <= 0:
            return None
        first = max(values[:2])
        return first if values[-1] > values[-2] > values[-3] > 1e4 * first else None

    def ended(self, error: BaseException | None) -> Iterable[Finding]:
        """What was found."""
        if not self._broken and (first := self._diverged()) is not None and self._optimizer:
            text = f"the loss grew from {first:.3g} to {self._values[-1]:.3g}: {_TOO_LARGE}"
            yield Finding("learning-rate", self._optimizer, text)
        if self._spoilt is not None and self._optimizer is None:
            self.found.setdefault("finite", self._spoilt)
        yield from self.found.values()
        if error is None and self._passes >= 3 and not self._broken:
            yield from self._dead()
            yield from sorted(self._unborn(), key=lambda finding: finding.place.line)[:1]

    def _dead(self) -> Iterator[Finding]:
        for relu in self._relus.values():
            if (
                relu.place not in self._hinges
                and (relu.dead >= _FEW or (relu.dead == relu.calls and relu.starved >= 3))
                and relu.rows >= 8
                and 2 * relu.dead >= relu.calls
            ):
                shape = ", ".join(["N", *map(str, relu.shape)])
                text = (
                    f"this ReLU of shape [{shape}] gave only zeros for all data in the last "
                    f"{relu.dead} of {relu.calls} calls: no gradient passes"
                )
                yield Finding("dead-relu", relu.place, text)

    def _unborn(self) -> Iterator[Finding]:
        for zeros in self._zeros.values():  # in the order in which the first pass met them
            if zeros.count == self._passes and zeros.place is not None:
                text = (
                    f"the weights of shape {list(zeros.shape)} start at 0, and their gradient was exactly "
                    f"0 in all {self._passes} backward passes: they can never change"
                )
                yield Finding("zero-init", zeros.place, text)

    def _written(self, tensor: Tensor) -> Place | None:
        """Where a tensor got its zeros."""
        storage = storage_of(tensor)
        for write in reversed(self.watcher.record.writes):
            if write.storage == storage and not write.stepped and write.place is not None:
                return write.place
        made = self.watcher.origin(tensor)
        return made.place if made else None


def _numbers(grad: Tensor) -> Tensor:
    """The numbers of a gradient, which may be sparse, and have a graph of its own."""
    grad = grad.detach()
    return grad._values() if grad.is_sparse else grad.values() if grad.is_sparse_csr else grad


def _is_entropy(root: Tensor) -> bool:
    """Whether a loss contains p log p: a product of a logarithm and what that was taken of."""
    for node, _ in walk([node_of(root)], 2_000):
        factors = {each for each, _ in node.next_functions if each is not None}
        for log in factors if node.name() == "MulBackward0" else ():
            if log.name().startswith("Log") and any(of in factors for of, _ in log.next_functions):
                return True
    return False
