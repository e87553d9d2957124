"""Notes on losses: the contents and shapes of predictions and targets."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gradcli.evaluate.job import broadcast, together
from gradcli.evaluate.origin import ends
from gradcli.evaluate.watched import WatchedOp
from gradcli.results import Note


def twice(op: WatchedOp, before: Sequence[WatchedOp]) -> Iterator[Note]:
    """A function that applies softmax or sigmoid itself, given the output of one."""
    maker, (function, advice) = _made_by(op, before), TWICE[op.name]
    if not maker:
        return
    # Softmax of rows and then of columns is not a mistake.
    if "softmax" not in op.name or _along(op, op.operands[0]) == _along(maker, maker.value):
        given = function if maker.name == function else f"exp of {maker.name}, which is {function}"
        yield Note("double-softmax", f"{op.name} is given the output of {given}: {advice}")


def _along(op: WatchedOp, x: Tensor) -> tuple[object, ...]:
    """The dimension of softmax in x: its size and its step in memory, which views keep that move it."""
    dimension = slice(op.dimension, op.dimension + 1)  # a single number has none
    return x.shape[dimension], x.stride()[dimension]


TWICE: Mapping[str, tuple[str, str]] = {
    "cross_entropy": ("softmax", "it applies softmax itself, so pass the logits"),
    "nll": ("softmax", "it takes log-probabilities, so use log_softmax"),
    "bce_with_logits": ("sigmoid", "it applies sigmoid itself, so pass the logits, or use bce"),
    "log_softmax": ("softmax", "it applies softmax itself, so pass the logits"),
    "softmax": ("softmax", "a second softmax evens out the probabilities; one is enough"),
}
"""Functions that must not be given the output of another one: which, and what to do instead."""
_LOGARITHM = {"softmax": "log_softmax", "sigmoid": "logsigmoid"}
"""The function that computes the logarithm of another one."""
_KEEPING = frozenset(
    f"{name}Backward{n}" for n in (0, 1) for name in ("Clone", "ToCopy", "Clamp", "ClampMin", "ClampMax", "Maximum", "Add")
)  # fmt: skip
"""The nodes of copies, casts, bounds and added numbers."""
_NEAR = 0.01
"""The change by these up to which a probability is still the same one."""


def _made_by(op: WatchedOp, before: Sequence[WatchedOp]) -> WatchedOp | None:
    """The operation that must not have made the first operand, a view of it, or what it was before
    small changes, if it did, or if exp of its result did.
    """
    x, function = op.operands[0], TWICE[op.name][0]
    values = (x, x._base) if isinstance(x, Tensor) else (x,)

    def made(maker: WatchedOp, value: Any) -> bool:
        if maker.name == function:
            return maker.value is value or _is_near(value, maker.value)
        return (  # exp is not watched
            maker.name == _LOGARITHM[function]
            and isinstance(value, Tensor)
            and value.numel() > 0
            and torch.equal(value, maker.value.exp())
        )

    return next((each for each in before if any(made(each, value) for value in values)), None)


def _is_near(x: Any, made: Tensor) -> bool:
    """Whether `x` is `made`, in the same shape, after copies, casts, and changes of at most _NEAR."""
    node = x.grad_fn if isinstance(x, Tensor) and x.shape == made.shape else None
    while node is not None and node.name() in _KEEPING:
        sources = [source for source, _ in node.next_functions if source is not None]
        node = sources[0] if len(sources) == 1 else None
    near = node is not None and node is made.grad_fn
    return near and bool(((x - made).detach().abs() <= _NEAR).all())


def improbable(op: WatchedOp, before: Sequence[WatchedOp]) -> Iterator[Note]:
    """Targets that must be probabilities but are not."""
    pred, target = op.operands[0], torch.as_tensor(op.operands[1]).detach()  # parameters may follow
    summed = op.name in SUMMED and isinstance(pred, Tensor) and target.shape == pred.shape
    class_indices = op.name == "cross_entropy" and not summed
    if class_indices or not target.numel():
        return
    logarithms = bool(op.settings.get("log_target"))
    p = target.exp() if logarithms else target if target.dtype != torch.bool else target.byte()
    low, high = ends(p)
    if low < 0 or high > 1 + ROUNDING * _grain(p):
        what = "the exponential of a log-target" if logarithms else "a target"
        number = f"{what} of {op.name} is {low if low < 0 else high:.6g}"
        yield Note("probabilities", f"{number}: probabilities are between 0 and 1")
    elif summed and p.ndim:
        yield from _sums(op.name, p)


SUMMED = frozenset({"cross_entropy", "kl_div"})
"""Losses whose target holds distributions: probabilities that add up to 1."""
ROUNDING = 8
"""Units of the last digit by which rounding may change a number."""


def _grain(x: Tensor) -> float:
    return torch.finfo(x.dtype).eps if x.is_floating_point() else 0.0


def _sums(name: str, p: Tensor) -> Iterator[Note]:
    """Sums that are not 1: along the classes, or for kl_div along no dimension nor over all."""
    along: list[tuple[int, ...]] = [(min(1, p.ndim - 1),)]
    if name == "kl_div":
        along = [*((dim,) for dim in range(p.ndim)[::-1]), tuple(range(p.ndim))]
    wrong = []
    for dims in along:
        off = (p.double().sum(dims) - 1).reshape(-1)
        terms = p.numel() // max(1, off.numel())
        if not bool((off.abs() > ROUNDING * _grain(p) * terms + 1e-5).any()):
            return
        wrong.append(1 + float(off[off.abs().argmax()]))
    total = f"a row of the target of {name} adds up to {wrong[0]:.6g}"
    yield Note("probabilities", f"{total}, but probabilities add up to 1")


def no_logarithms(op: WatchedOp, before: Sequence[WatchedOp]) -> Iterator[Note]:
    """Predictions that must be log-probabilities but are not: those are at most 0."""
    pred = op.operands[0]
    if isinstance(pred, Tensor) and (largest := ends(pred)[1]) > ROUNDING * _grain(pred):
        if op.name in TWICE and _made_by(op, before):
            return  # another note says so
        words = f"{op.name} takes log-probabilities, such as the output of log_softmax"
        yield Note("probabilities", f"an element of {op.label()} is {largest:.6g}: {words}")


def broadcasts(op: WatchedOp, before: Sequence[WatchedOp]) -> Iterator[Note]:
    """A loss that broadcasts without a warning of PyTorch."""
    pred, target = op.operands[:2]  # parameters may follow
    both = isinstance(pred, Tensor) and isinstance(target, Tensor)
    if both and together(pred.shape, target.shape) != list(pred.shape):
        yield broadcast(pred.shape, target.shape)
