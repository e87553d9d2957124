"""The catalogue's functions as PyTorch computes them, and the targets that index losses take."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias, cast

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from gradcli.catalogue.functions import CATALOGUE, Activation, Loss, Value
from gradcli.errors import GradcliError, LiteralError, ShapeError
from gradcli.language.calls import TENSOR_PARAMETERS, Call

Function: TypeAlias = Callable[..., Tensor]
Unary: TypeAlias = Callable[[Tensor], Tensor]
Binary: TypeAlias = Callable[[Tensor, Tensor], Tensor]

INDEX_TARGETS = ("class", "labels")
"""The kinds of target that are indices of classes."""


def activation(call: Call) -> Unary:
    """The activation with its arguments: a tensor in, one of the same shape out."""
    function, extra = _resolve(call.entry), {"dim": -1} if call.entry.mixes else {}
    return lambda x: function(x, **arguments(call, x), **extra)


def loss(call: Call, reduction: str | None = None) -> Binary:
    """The loss of pred and target with its arguments.

    A reduction among the arguments overrides `reduction`; the default is PyTorch's mean. A loss
    that is a sum by definition has only `none`; one that is not made of elements is one number for
    any reduction.
    """
    return _reduced(call, call.reduction(reduction or "mean"))


def elements(call: Call) -> Binary | None:
    """The loss before reduction, or None for one that is not made of elements."""
    return None if call.entry.mixes == "all" else _reduced(call, "none")


def _reduced(call: Call, reduction: str) -> Binary:
    function, reduced = _resolve(call.entry), {"reduction": reduction}
    return lambda pred, target: function(pred, target, **arguments(call, pred) | reduced)


def arguments(call: Call, like: Tensor) -> dict[str, Any]:
    """The arguments for PyTorch; weights have the dtype and device of `like`."""
    given: dict[str, Any] = dict(call.bound)
    for name in TENSOR_PARAMETERS & given.keys():
        if given[name] is not None:
            given[name] = torch.tensor(given[name], dtype=like.dtype, device=like.device)
    return given


def _resolve(entry: Activation | Loss) -> Function:
    """The entry's own code, or PyTorch's function at the path that the catalogue names."""
    if entry.code:
        return _OWN[entry.name]
    module, _, name = entry.torch.partition(".")
    return cast(Function, getattr(_MODULES[module], name))


def _own(entry: Activation | Loss) -> Function:
    """An entry's code, which is gradcli's, as a function: what users write is never evaluated."""
    names = [*entry.operands, *(parameter.name for parameter in entry.parameters)]
    if isinstance(entry, Loss):
        names.append("reduction")
    # A program makes a constant in its default dtype and device; here x may have others.
    code = entry.code.replace("torch.zeros(", "x.new_zeros(")
    return cast(Function, eval(f"lambda {', '.join(names)}: {code}", dict(_MODULES)))


_MODULES = {"torch": torch, "F": F}
_OWN = {entry.name: _own(entry) for entry in CATALOGUE.values() if entry.code}


def index_target(call: Call, logits: Tensor, target: Tensor) -> Tensor:
    """The target as the loss takes it: class indices and labels as int64, any other unchanged.

    A target in the shape of `logits` means probabilities, for cross_entropy only. Otherwise
    `logits` are [C], [N, C] or [N, C, ...] and the classes whole numbers from 0 up, or the given
    ignore_index; a 0-d index becomes the target of a batch of one. Labels of multilabel_margin are
    whole numbers from -1 up.

    Raises LiteralError for numbers that are not indices, and ShapeError for indices that `logits`
    has no class for and for probabilities that the loss does not take.
    """
    entry = call.entry
    if not isinstance(entry, Loss) or entry.target not in INDEX_TARGETS:
        return target
    if logits.ndim == 0:
        message = f"{entry.name} needs a number for each class, but pred is a single number"
        hint = "give pred one number for each class, such as 2,1,0.1"
        raise ShapeError(message, hint=hint)
    if entry.target == "class" and target.shape == logits.shape:
        _check_probabilities(entry, target)
        return target
    indices = _indices(entry, call.arguments.get("ignore_index"), logits, target)
    if logits.ndim == 1 and indices.shape == (1,) and entry.name in ("cross_entropy", "nll"):
        # PyTorch would fail only in the backward pass.
        message = f"pred is one row of {len(logits)} classes, but target is a list"
        hint = f"give only the index: {int(indices)}"
        raise ShapeError(message, hint=hint, why_entry="class-shape")
    of_batch = indices.ndim == 0 and logits.ndim == 2 and len(logits) == 1
    return indices.reshape(1) if of_batch else indices


def _check_probabilities(entry: Loss, target: Tensor) -> None:
    if entry.name != "cross_entropy":
        message = f"{entry.name} takes the index of one class for each row of pred, not a number for each class"
        hint = "only cross_entropy takes probabilities"
    elif target.is_floating_point():
        return
    else:
        expected = "a target in the shape of pred must be probabilities"
        message = f"{expected}, but this one is {target.dtype}"
        hint = "write floating-point numbers, such as 0,1,0, or the index of the class"
    raise ShapeError(message, hint=hint, why_entry="class-target")


def _indices(entry: Loss, ignored: Value, logits: Tensor, target: Tensor) -> Tensor:
    """`target` as int64, each number checked to be a class of `logits` or `ignored`."""
    labels = entry.target == "labels"
    lowest, along = (-1, -1) if labels else (0, min(1, logits.ndim - 1))
    classes = logits.shape[along]
    indices = target.detach().to(torch.int64)
    kept = torch.ones_like(indices, dtype=torch.bool) if ignored is None else indices != ignored
    # Fractions, NaN and numbers beyond int64 differ from the target.
    broken = (indices != target) | (kept & (indices < lowest))
    reason = f"but a {'label' if labels else 'class index'} is a whole number from {lowest} up"
    hint = "labels start at 0, and -1 ends the list" if labels else "classes start at 0"
    not_index = partial(LiteralError, hint=hint, why_entry="class-target")
    _refuse(not_index, target, broken, reason)
    no_class = partial(ShapeError, hint=hint, why_entry="class-range")
    _refuse(no_class, indices, kept & (indices >= classes), f"but pred has {classes} classes")
    return indices


def _refuse(
    error: Callable[[str], GradcliError], target: Tensor, wrong: Tensor, reason: str
) -> None:
    """Raise `error` about the first number of `target` that is `wrong`, if there is one."""
    if bool(wrong.any()):
        at = wrong.nonzero()[0].tolist()
        name = f"target[{','.join(map(str, at))}]" if at else "target"
        number = target[tuple(at)].item()
        raise error(f"{name} is {number}, {reason}")
