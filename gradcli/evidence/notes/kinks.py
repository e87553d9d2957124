"""The kinks of a function of the catalogue, and the slopes beside them as PyTorch computes them."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gradcli import core
from gradcli.catalogue.functions import CATALOGUE, LOSSES, Loss
from gradcli.evaluate.machine import evaluate
from gradcli.evaluate.origin import FEW
from gradcli.language.expressions import expression
from gradcli.language.source import Source

SAME = 1e-3
"""Slopes on two sides of a point that differ by less than this part of them count as equal."""
WORK = 2**20
"""Elements that are read, at most, to find the kinks at ties."""
ROWS = 25
"""Rows up to which `cdist` is computed as it is defined, not by a matrix product that rounds."""

INFINITE = (math.inf, -math.inf)


class Slopes(NamedTuple):
    """The slopes just left and right of some points, and those that PyTorch picks at them."""

    left: Tensor
    pytorch: Tensor
    right: Tensor


def slopes(function: Callable[[Tensor], Tensor], x: Tensor, points: Tensor) -> Slopes:
    """The slopes of the sum of `function(x)` along the elements of `x` in the mask `points`.

    Computed at the points and beside them, each of shape [marked]. All elements are moved together,
    so for several of them each must have outputs of its own. Raises MathError if PyTorch has no
    derivative.
    """
    x = x.detach()
    distance = 8 * torch.finfo(x.dtype).eps * x[points].abs().clamp(min=1)
    sides = []
    for side in (-1, 0, 1):
        leaf = x.clone()
        leaf[points] += side * distance
        leaf.requires_grad_()
        slope = core.gradients(function(leaf).sum(), {"x": leaf})["x"]
        sides.append(torch.zeros_like(distance) if slope is None else slope[points])
    return Slopes(*sides)


def of_activation(name: str, settings: Mapping[str, Any]) -> tuple[float, ...]:
    """The values of x at which an activation with these parameters has no derivative."""
    plain = ((key, v) for key, v in settings.items() if isinstance(v, int | float | str))
    return _places(name, tuple(plain))


@lru_cache(maxsize=256)
def _places(name: str, settings: tuple[tuple[str, Any], ...]) -> tuple[float, ...]:
    values, kinks = dict(settings), CATALOGUE[name].kinks
    places = (float(evaluate(_read(text, *values), values).value) for text in kinks)
    return tuple(place for place in places if place == place)


def of_loss(name: str, settings: Mapping[str, Any], pred: Tensor, target: Tensor | float) -> Tensor:
    """The elements of `pred` at which a loss has no derivative: a mask in the shape of `pred`."""
    entry = LOSSES[name]
    pred, target = pred.detach(), torch.as_tensor(target).detach()
    mask = torch.zeros_like(pred, dtype=torch.bool)
    if entry.mixes != "row":
        for place in places(entry, settings, pred, target):
            mask |= _like(pred, pred == place)
        return mask
    if not pred.ndim:
        return mask
    rows, targets = pred.movedim(min(1, pred.ndim - 1), -1), target.long()
    flat = rows.reshape(-1, rows.shape[-1])
    labels = entry.target == "labels"
    marked = torch.zeros_like(flat, dtype=torch.bool)
    for row, indices, hits in zip(flat, targets.reshape(len(flat), -1), marked, strict=True):
        indices = _until_minus_one(indices) if labels else indices.reshape(())
        for place in places(entry, settings, row, indices):
            hits |= (row == place).reshape(-1, len(row)).any(0)
    return marked.reshape(rows.shape).movedim(-1, min(1, pred.ndim - 1))


def places(entry: Loss, settings: Mapping[str, Any], pred: Tensor, target: Tensor) -> list[Tensor]:
    """The values of `pred` (one row of it if the loss mixes rows) at which a loss has a kink.

    Each broadcasts with the shape of `pred`; nan means none.
    """
    names = {key: value for key, value in settings.items() if isinstance(value, int | float | str)}
    values = {**names, "pred": pred, "target": target}
    return [evaluate(_read(text, *values), values).value for text in entry.kinks]


def _until_minus_one(labels: Tensor) -> Tensor:
    """The labels before the first -1."""
    ends = (labels == -1).nonzero()
    return labels[: int(ends[0])] if len(ends) else labels


def _read(text: str, *names: str) -> expression.Expression:
    return expression.parse(Source(text), names)


def of_other(name: str, operands: Sequence[Any], settings: Mapping[str, Any], place: int) -> Tensor:
    """Where another function has no derivative by its operand `place`: a mask in its shape."""
    x: Tensor = operands[place].detach()
    rest = [operand for number, operand in enumerate(operands) if number != place]
    if name in ("abs", "absolute"):
        return x == 0
    if name in ("clamp", "clip"):
        bounds = [*rest, *settings.values()] if place == 0 else []
        return _union(x, [x == bound for bound in bounds if _is_value(bound)])
    if name == "norm":
        return _at_zero(x, *order_and_dim(x, rest, settings))
    if name == "hypot":
        return _union(x, [(x == 0) & (torch.as_tensor(other) == 0) for other in rest])
    if name in ("dist", "cdist"):
        return _of_distance(name, operands, settings, place)
    if place or compares(name, rest):
        return _union(x, [x == other for other in rest if _is_value(other)])
    dim = next((d for d in [*rest, settings.get("dim")] if d is not None), None)
    best = x.amax if name in ("max", "amax") else x.amin
    return _alike(x, x == best(_dims(dim), keepdim=True), dim, lambda same, size: same > 1)


def order_and_dim(x: Tensor, rest: Sequence[Any], settings: Mapping[str, Any]) -> tuple[Any, Any]:
    """The order of a norm, 2 for one that may be of a matrix, and its dimension."""
    order = rest[0] if rest else settings.get("p", settings.get("ord"))
    dim = rest[1] if len(rest) > 1 else settings.get("dim")
    return order if x.ndim == 1 or isinstance(dim, int) else 2, dim


def _at_zero(x: Tensor, order: Any, dim: Any) -> Tensor:
    """Where a norm along `dim` has a kink at 0, apart from ties: a mask in the shape of `x`."""
    zero = x == 0
    if order == 1 or order in INFINITE:
        return zero & bool(order == 1)
    return _alike(x, zero, dim, lambda same, size: same == size)


def _of_distance(
    name: str, operands: Sequence[Any], settings: Mapping[str, Any], place: int
) -> Tensor:
    """Where the distance of two tensors, not one twice, has a kink by one: a mask in its shape."""
    one, other, *rest = (*operands, settings.get("other", settings.get("x2")))
    order = rest[0] if len(operands) > 2 else settings.get("p", 2)
    x, rows = operands[place], 0 if name == "dist" else max(one.shape[-2], other.shape[-2])
    if one is other or rows > ROWS or rows * max(one.numel(), other.numel()) > WORK:
        return torch.zeros_like(x, dtype=torch.bool)
    if name == "dist":
        return _like(x, _at_zero(one - other, order, None))
    pairs = _at_zero(one.unsqueeze(-2) - other.unsqueeze(-3), order, -1)
    return _like(x, pairs.any(-3 if place else -2))


def compares(name: str, rest: Sequence[Any]) -> bool:
    """Whether a function of these further operands is elementwise, and does not reduce its first."""
    compared = any(isinstance(other, Tensor | float) for other in rest)
    return compared or name not in ("max", "min", "amax", "amin")


def _alike(x: Tensor, marked: Tensor, dim: Any, enough: Callable[[Tensor, int], Tensor]) -> Tensor:
    """The marked elements, if `enough` are marked along `dim`: one or several, or None for all."""
    same = marked.sum(_dims(dim), keepdim=True)
    return marked & enough(same, x.numel() // max(1, same.numel()))


def _dims(dim: Any) -> Any:
    return () if dim is None else int(dim) if isinstance(dim, bool) else dim


def _is_value(bound: Any) -> bool:
    return isinstance(bound, int | float | Tensor) and not isinstance(bound, bool)


def _union(x: Tensor, masks: Sequence[Tensor]) -> Tensor:
    """The elements of `x` that any of the masks marks, each of which broadcasts with it."""
    marked = torch.zeros_like(x, dtype=torch.bool)
    for mask in masks:
        marked |= _like(x, mask)
    return marked


def _like(x: Tensor, mask: Tensor) -> Tensor:
    """A mask that `x` was broadcast to, back in the shape of `x`."""
    return mask.sum_to_size(x.shape) > 0


def at_ties(
    function: Callable[[Tensor], Tensor], x: Tensor, moving: Tensor
) -> tuple[list[tuple[int, int, float, float]], bool]:
    """The elements of `x` in the mask `moving` at which a function of it, [outputs], has a kink, if it
    chooses among them, or mixes them, by their order or by that of their sizes: the place of each,
    an output, and its slopes on the left and the right; and whether these are all that have one.

    The elements are replaced by whole numbers in the same order, so that a step of 1/4 never passes
    from one to another that is almost equal.
    """

    def weighted(x: Tensor) -> Tensor:
        return (made := function(x)) * (1 + _spread(made))

    sizes = torch.cat([x.new_zeros(1), x.reshape(-1)]).double().abs()  # 0 is a kink of |x|
    _, rank, counts = torch.unique(sizes, return_inverse=True, return_counts=True)
    alike = moving.reshape(-1) & (counts[rank[1:]] > 1)
    places = alike.nonzero().view(-1)
    if not len(places) or bool(x.isinf().any()):
        return [], True
    ranks = torch.where(x.isnan(), x, rank[1:].view(x.shape) * x.double().sign())
    room = min(FEW, WORK // x.numel())
    complete = len(places) <= room
    if not complete:  # some of those whose slopes differ on two sides along a line
        sides = [core.slopes(weighted, ranks + sign * _spread(ranks))[1] for sign in (-1, 1)]
        places = (alike & (sides[0] != sides[1]).reshape(-1)).nonzero().view(-1)
    base, found = function(ranks), []
    for place in places[:room].tolist():
        step = torch.zeros_like(ranks)
        step.view(-1)[place] = 0.25
        left, right = (base - function(ranks - step)) * 4, (function(ranks + step) - base) * 4
        bends = (left - right).abs()
        output = int(bends.argmax())
        if bool(bends[output] > SAME * torch.maximum(left.abs(), right.abs())[output]):
            found.append((place, output, float(left[output]), float(right[output])))
    return found, complete


def _spread(like: Tensor) -> Tensor:
    """Different numbers from 0 to 1/4 in no order, in the shape of `like`."""
    numbers = torch.arange(like.numel(), dtype=like.dtype, device=like.device).view(like.shape)
    return (numbers * 0.618033988749895).frac() / 4
