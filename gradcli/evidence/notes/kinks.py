"""The kinks of a function of the catalogue, and the slopes beside them as PyTorch computes them."""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gradcli import core
from gradcli.catalogue.functions import CATALOGUE, LOSSES, Loss
from gradcli.evaluate.machine import evaluated
from gradcli.evaluate.origin import FEW
from gradcli.evaluate.watched import NORMS, WatchedOp

SAME = 1e-3
"""Slopes on two sides of a point that differ by less than this part of them count as equal."""
WORK = 2**20
"""Elements that are read, at most, to find kinks at ties; a 16th of them for singular values."""
STEP = 2.0**-30
"""The step beside a kink of a norm in float64, as a part of the largest number: far above the
rounding of singular values, far below that of float32."""

INFINITE = (math.inf, -math.inf)


class Slopes(NamedTuple):
    """The slopes just left and right of some points, and those of PyTorch at them, all [points]."""

    left: Tensor
    pytorch: Tensor
    right: Tensor


def slopes(
    function: Callable[[Tensor], Tensor], x: Tensor, points: Tensor, *, wide: bool = False
) -> Slopes:
    """The slopes of the sum of `function(x)` along the elements of `x` in the mask `points`.

    Computed at the points and beside them, there in float64 if `wide`, each of shape [marked]. All
    elements are moved together, so for several of them each must have outputs of its own. Raises
    MathError if PyTorch has no derivative.
    """
    x = x.detach()
    distance = 8 * torch.finfo(x.dtype).eps * x[points].abs().clamp(min=1)
    if wide:
        distance = distance.double().fill_(STEP * (float(x.abs().max()) or 1))
    sides = []
    for side in (-1, 0, 1):
        leaf = (x.double() if wide and side else x).clone()
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
    places = (float(evaluated(text, values)) for text in kinks)
    return tuple(place for place in places if place == place)


def of_loss(op: WatchedOp) -> Tensor:
    """The elements of a prediction at which its loss has no derivative: a mask in its shape."""
    entry, settings = LOSSES[op.name], op.settings
    pred, target = (torch.as_tensor(operand).detach() for operand in op.operands[:2])
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
            hits[indices[(row == place).any(-1)]] = True  # which is compared with them
    return marked.reshape(rows.shape).movedim(-1, min(1, pred.ndim - 1))


def places(entry: Loss, settings: Mapping[str, Any], pred: Tensor, target: Tensor) -> list[Tensor]:
    """The values of `pred` (one row of it if the loss mixes rows) at which a loss has a kink.

    Each broadcasts with the shape of `pred`; nan means none.
    """
    names = {key: value for key, value in settings.items() if isinstance(value, int | float | str)}
    values = {**names, "pred": pred, "target": target}
    return [evaluated(text, values) for text in entry.kinks]


def _until_minus_one(labels: Tensor) -> Tensor:
    """The labels before the first -1."""
    ends = (labels == -1).nonzero()
    return labels[: int(ends[0])] if len(ends) else labels


def of_other(op: WatchedOp, place: int) -> Tensor:
    """Where another function has no derivative by its operand `place`: a mask in its shape."""
    name, settings = op.name, op.settings
    x: Tensor = op.operands[place].detach()
    rest = [operand for number, operand in enumerate(op.operands) if number != place]
    if name in ("abs", "absolute"):
        return x == 0
    if name in ("clamp", "clip"):
        bounds = [*rest, *settings.values()] if place == 0 else []
        return _union(x, [x == bound for bound in bounds if _is_value(bound)])
    if name in NORMS:
        return _of_norm(op, place)
    if name == "margin_ranking_loss":
        one, two, target, margin = _pair(op)
        return _like(x, -target * (one - two) + margin == 0)
    if name == "hypot":
        return _union(x, [(x == 0) & (torch.as_tensor(other) == 0) for other in rest])
    if place or compares(name, rest):
        return _union(x, [x == other for other in rest if _is_value(other)])
    dim = next((d for d in [*rest, settings.get("dim")] if d is not None), None)
    best = x.amax if name in ("max", "amax") else x.amin
    return _alike(x, x == best(_dims(dim), keepdim=True), dim, lambda same, size: same > 1)


def _of_norm(op: WatchedOp, place: int) -> Tensor:
    """Where a norm or a distance has a kink by the operand `place`: a mask in its shape."""
    name, settings, by = op.name, op.settings, op.operands[place]
    if not by.numel() or not bool(by.isfinite().all()):
        return torch.zeros_like(by, dtype=torch.bool)
    if "dist" in name:
        return _of_distance(op, place)
    if name == "cosine_embedding_loss":
        return _of_cosine(op, place)
    x, *rest = op.operands
    if name == "std":
        along = rest[0] if rest and not isinstance(rest[0], bool) else settings.get("dim")
        least, most = (
            end(_dims(along), keepdim=True) for end in (x.detach().amin, x.detach().amax)
        )
        equal: Tensor = (least == most).expand_as(x)
        return equal
    order = rest[0] if rest else settings.get("p", settings.get("ord"))
    dim: Any = rest[1] if len(rest) > 1 else settings.get("dim")
    if dim is None and (name == "matrix_norm" or x.ndim == 2):
        dim = (-2, -1)
    pair = name != "norm" and isinstance(dim, tuple | list) and len(dim) == 2
    if order == "nuc" or (pair and order not in (None, "fro")):
        matrices = x.detach().double().movedim(tuple(dim), (-2, -1))
        return _of_matrix(matrices, order).movedim((-2, -1), tuple(dim))
    return _of_vector(x.detach(), order, dim)


def _of_vector(x: Tensor, order: Any, dim: Any) -> Tensor:
    """Where the norm of the numbers along `dim` has a kink: a mask in the shape of `x`."""
    zero = x == 0
    if order in INFINITE:
        return _at_extreme(x.abs(), zero, order, dim)
    return zero if order == 1 else _alike(x, zero, dim, lambda same, size: same == size)


def _at_extreme(sizes: Tensor, zero: Tensor, order: float, dim: Any) -> Tensor:
    """Where the largest of `sizes` along `dim`, the smallest if `order` is negative, has a kink by a
    number that adds its own size to one of them: a mask in the shape of `zero`, the numbers at 0.
    """
    tied = sizes == (sizes.amax if order > 0 else sizes.amin)(_dims(dim), keepdim=True)
    several = tied.sum(_dims(dim), keepdim=True) > 1
    return tied & ((several | zero) if order > 0 else (several ^ zero))


def _of_matrix(x: Tensor, order: Any) -> Tensor:
    """Where a norm of the matrices in the last two dimensions has a kink: a mask in the shape of `x`.

    Singular values are equal if they agree to the rounding of float64. Where several, or zeros, make
    the norm, its derivative in a direction E is an eigenvalue or a norm of U^T E V, with their
    singular vectors U and V (G. Watson, "Characterization of the subdifferential of some matrix
    norms", Linear Algebra and its Applications 170, 1992). By one element it has two sides if
    neither has zeros in its row.
    """
    if order not in ("nuc", 2, -2):
        rows = x if order in INFINITE else x.mT
        bent = _at_extreme(rows.abs().sum(-1, keepdim=True), rows == 0, order, -2)
        return bent if order in INFINITE else bent.mT
    if x.numel() > WORK // 16:
        return torch.zeros_like(x, dtype=torch.bool)
    u, s, vh = torch.linalg.svd(x)
    close = 4 * max(x.shape[-2:]) * torch.finfo(s.dtype).eps * s[..., :1]
    null = s <= close
    best = s[..., :1] if order == 2 else s[..., -1:]
    tied = null if order == "nuc" else (s - best).abs() <= close
    zero, several = (tied & null).any(-1, keepdim=True), tied.sum(-1, keepdim=True) > 1
    two_sided: Tensor = zero if order == "nuc" else several | zero if order > 0 else several ^ zero

    def sizes(vectors: Tensor) -> Tensor:
        """The squared length of each row of these singular vectors; those without a value go with 0."""
        rest = zero.expand(*zero.shape[:-1], vectors.shape[-1] - s.shape[-1])
        return (vectors.square() * torch.cat([tied, rest], -1).unsqueeze(-2)).sum(-1)

    product = sizes(u).unsqueeze(-1) * sizes(vh.mT).unsqueeze(-2)
    return two_sided.unsqueeze(-1) & (product > SAME**2)


def _of_distance(op: WatchedOp, place: int) -> Tensor:
    """Where a distance has a kink by one of two tensors, or by one given twice: a mask in its shape."""
    name, settings = op.name, op.settings
    x, (one, *rest) = op.operands[place], op.operands
    given = settings.get("other", settings.get("x2"))
    other, *rest = [one, *rest] if name == "pdist" else rest or [given]
    order = rest[0] if rest else settings.get("p", settings.get("norm", 2))
    if name in ("dist", "pairwise_distance"):
        dim, eps = (None, 0) if name == "dist" else (-1, settings.get("eps", 1e-6))
        added = rest[1] if len(rest) > 1 else eps
        apart = torch.as_tensor(one).double() - other + added
        return _like(x, _of_vector(apart, order, dim))
    rows = max(one.shape[-2], other.shape[-2])
    if rows * max(one.numel(), other.numel()) > WORK:
        return torch.zeros_like(x, dtype=torch.bool)
    pairs = _of_vector(one.double().unsqueeze(-2) - other.unsqueeze(-3), order, -1)
    if one is other:  # whose distance from itself is always 0
        pairs &= ~torch.eye(rows, dtype=torch.bool, device=x.device).unsqueeze(-1)
    return _like(x, pairs.any(-3 if place else -2))


def _pair(op: WatchedOp) -> list[Any]:
    """The two inputs, the target and the margin of a loss of pairs."""
    names = ("input1", "input2", "target", "margin")
    given = {"margin": 0.0, **op.settings, **dict(zip(names, op.operands, strict=False))}
    values = (given[name] for name in names)
    return [value.detach() if isinstance(value, Tensor) else value for value in values]


def _of_cosine(op: WatchedOp, place: int) -> Tensor:
    """Where cosine_embedding_loss has a kink by one of its inputs: a mask in its shape. The cosine is
    the margin there, and not constant to first order.
    """
    one, two, target, margin = _pair(op)
    x, other = (two.double(), one) if place else (one.double(), two)
    size, length = (each.norm(dim=-1, keepdim=True) for each in (x, other.double()))
    cosine = (x * other).sum(-1, keepdim=True) / (size * length)
    slope = (other / length - cosine * x / size).nan_to_num(0).abs()
    near = (cosine - margin).abs() <= 4 * torch.finfo(x.dtype).eps
    return _like(op.operands[place], near & (target == -1).unsqueeze(-1) & (slope > SAME))


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
    function: Callable[[Tensor], Tensor], x: Tensor, moving: Tensor, upstream: Tensor | None, *,
    counts: bool
) -> tuple[list[int], bool, int, list[float]] | None:  # fmt: skip
    """The elements of `x` in the mask `moving` at which a function that chooses among equal ones by
    their order, or that `counts` them, has a kink in the sum of its outputs times `upstream`, both
    [outputs], or without that in any output; None if there are none.

    Returns their places; whether these are all; and for the first an output, and its slopes on the
    left and the right, infinite at a jump.

    The elements are replaced by whole numbers in the same order, so that a step of 1/4 never passes
    from one to another that is almost equal. Elements of all numbers are moved together, one of
    each: they stay in order. Where a function counts, each is moved alone.
    """
    _, rank, sizes = torch.unique(x.reshape(-1), return_inverse=True, return_counts=True)
    places = (moving.reshape(-1) & (sizes[rank] > 1)).nonzero().view(-1)
    if not (len(places) and len(function(x))) or bool(x.isinf().any()):
        return None
    ranks = torch.where(x.isnan(), x.double(), rank.view(x.shape).double())
    outputs = function(ranks)
    weights = 1 + _spread(outputs) if upstream is None else upstream

    def weighted(x: Tensor) -> tuple[Tensor, Tensor]:
        return core.slopes(lambda x: function(x) * weights, x)

    def step(moved: Tensor) -> Tensor:
        return torch.zeros_like(ranks).view(-1).index_fill(0, moved, 0.25).view(ranks.shape)

    base, slope = weighted(ranks)
    chosen = slope.reshape(-1)[places] != 0  # which come first: if not all fit, they are likely
    places = places[chosen.sort(descending=True, stable=True).indices]
    rounds = torch.arange(len(places), device=x.device)
    if not counts:
        places = places[rank[places].sort(stable=True).indices]
        rounds -= torch.searchsorted(rank[places], rank[places])
    room, needed = max(1, min(FEW, WORK // x.numel())), int(rounds.max()) + 1
    noise = 8 * torch.finfo(x.dtype).eps * weights.abs().max()
    found: list[Tensor] = []
    for number in range(min(room, needed)):
        moved = places[rounds == number]
        (down, left), (up, right) = (weighted(ranks + sign * step(moved)) for sign in (-1, 1))
        left, right = left.view(-1)[moved], right.view(-1)[moved]
        if counts:
            left, right = ((base - down).sum() * 4).view(1), ((up - base).sum() * 4).view(1)
        same = (SAME * torch.maximum(left.abs(), right.abs())).maximum(noise)
        found.append(moved[(left - right).abs() > same])
    if not len(bent := torch.cat(found).sort().values):
        return None
    sides = [sign * 4 * (function(ranks + sign * step(bent[:1])) - outputs) for sign in (-1, 1)]
    output = int(((sides[0] - sides[1]) * weights).abs().nan_to_num(0).argmax())
    slopes = (float(side[output]) + 0 for side in sides)  # -0 becomes 0
    beside = [math.copysign(math.inf, s) if abs(s) > 2 else s for s in slopes]
    return bent.tolist(), needed <= room, output, beside


def _spread(like: Tensor) -> Tensor:
    """Different numbers from 0 to 1/4 in no order (a Weyl sequence), in the shape of `like`."""
    numbers = torch.arange(like.numel(), dtype=like.dtype, device=like.device).view(like.shape)
    return (numbers * 0.618033988749895).frac() / 4
