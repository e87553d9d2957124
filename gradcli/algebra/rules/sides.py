"""The sides of tensors: their order, new and dropped ones, reshape and expand."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gradcli.algebra.indices import call
from gradcli.algebra.nodes import Dim, NoRuleError, UnequalError, fresh, state
from gradcli.algebra.rules.reducing import Rule, dims, keeping
from gradcli.algebra.walk import Axis, Value, broadcast, length, packed, plain, size_of, unpacked


def listed(arguments: Sequence[Any]) -> tuple[Any, ...]:
    """The arguments of `f(2, 3)` and of `f((2, 3))`."""
    if len(arguments) == 1 and isinstance(arguments[0], tuple | list):
        return tuple(arguments[0])
    return tuple(arguments)


def named_side(given: Any) -> Dim | None:
    """The side whose size was given as one, such as len(x)."""
    return given.node.data if isinstance(given, Value) and given.node.kind == "size" else None


def side_of(given: Any) -> Dim:
    """A side of this size: the side that was named, or one whose size is always the same."""
    return named_side(given) or Dim(plain(given), fixed=True)


def _size(value: Value, dim: Any = None) -> Any:
    sides = tuple(map(length, value.sides))
    return sides if dim is None else sides[plain(dim)]


def _permute(value: Value, *order: Any, dim: Any = ()) -> Value:
    node, axes = unpacked(value)
    return packed(node, [axes[plain(d)] for d in listed(order or dim)])


def swapped(value: Value, first: Any, second: Any) -> Value:
    """A value with two sides exchanged."""
    order = list(range(len(value.sides)))
    if order:
        one, two = plain(first), plain(second)
        order[one], order[two] = order[two], order[one]
    return _permute(value, order)


def _moveaxis(value: Value, source: Any, destination: Any) -> Value:
    """Of one axis."""
    count = len(value.sides)
    order = [d for d in range(count) if d != source % count]
    order.insert(destination % count, source % count)
    return _permute(value, order)


def _squeeze(value: Value, dim: Any = None) -> Value:
    """squeeze. Raises UnequalError for an open side of size 1, which is then always of that size."""
    gone = dims(value, dim)
    node, axes = unpacked(value)
    _always_one(axes[d] for d in gone)
    return packed(node, [axis for d, axis in enumerate(axes) if d not in gone or axis[1]])


def _always_one(axes: Iterable[Axis]) -> None:
    for _, side in axes:
        if side is not None and size_of(side) == 1:
            raise UnequalError(side, side)


def _reshape(value: Value, *shape: Any) -> Value:
    """reshape. Raises NoRuleError for view(dtype)."""
    shape = listed(shape)
    counts = [plain(s) for s in shape]
    total = math.prod(map(size_of, value.sides))
    rest = counts.index(-1) if -1 in counts else None
    if rest is not None:
        counts[rest] = total // math.prod(c for c in counts if c != -1)
    if None in counts or math.prod(counts) != total:
        raise NoRuleError("no rule for reshape")
    return _reshaped(value, counts, [named_side(s) for s in shape], rest)


def _flatten(value: Value, start_dim: Any = 0, end_dim: Any = -1) -> Value:
    sides = value.sides or (None,)
    first, last = start_dim % len(sides), end_dim % len(sides)
    if first == last and value.sides:
        return value
    before, joined, after = sides[:first], sides[first : last + 1], sides[last + 1 :]
    counts = [*map(size_of, before), math.prod(map(size_of, joined)), *map(size_of, after)]
    return _reshaped(value, counts, [*before, None, *after], first)


def _unflatten(value: Value, dim: Any, sizes: Any) -> Value:
    (at,) = dims(value, dim)
    sides = [*map(length, value.sides)]
    return _reshape(value, *sides[:at], *listed([sizes]), *sides[at + 1 :])


def _reshaped(
    value: Value, counts: Sequence[int], given: Sequence[Dim | None], rest: int | None
) -> Value:
    """A value with sides of these sizes, some of them given sides; `rest` has what others leave."""
    node, axes = unpacked(value)
    old = [(index, side) for index, side in axes if side is not None]
    longer = [size_of(side) for _, side in old if size_of(side) != 1]
    joined = None if rest is None else _joined([side for _, side in old], counts, given, rest)
    flattens = state().flattens and joined and len(longer) < len(old)
    if longer == [c for c in counts if c != 1] and not flattens:
        # Only sides of size 1 come or go.
        _always_one(old)
        left = iter(old)
        placed: list[Axis] = [(None, None) if c == 1 else next(left) for c in counts]
        for (_, known), side in zip(placed, given, strict=True):
            if known is not None and side is not None:
                known.merge(side)
        return packed(node, placed)
    outs: list[Axis] = []
    for count, side in zip(counts, joined or given, strict=True):
        new = None if count == 1 else side or Dim(count, fixed=len(counts) > 1)
        own = side if joined else new  # one of size 1 that is kept may be longer
        outs.append((None if own is None else fresh(), own))
    inner = [(index, side) for index, side in outs if index is not None and side is not None]
    return packed(call("reshape", [(old, node)], inner), outs)


def _joined(
    old: Sequence[Dim], counts: Sequence[int], given: Sequence[Dim | None], rest: int
) -> list[Dim] | None:
    """The sides after a reshape that joins some into one, at the place `rest`, and keeps the others;
    None for any other. The given sides are merged with those that are kept.
    """
    after = len(old) - (len(counts) - rest - 1)
    kept = [*old[:rest], *old[after:]]
    parts = [part for side in old[rest:after] for part in side.root.parts or (side,)]
    if not parts or [*map(size_of, kept)] != [*counts[:rest], *counts[rest + 1 :]]:
        return None
    for side, named in zip(kept, [*given[:rest], *given[rest + 1 :]], strict=True):
        if named is not None:
            side.merge(named)
    side = parts[0] if len(parts) == 1 else Dim(counts[rest], parts=parts)
    return [*old[:rest], side, *old[after:]]


def _repeat(value: Value, *times: Any) -> Value:
    """repeat, and tile: each side is joined with a new one before it."""
    counts = [plain(n) for n in listed(times)]
    value = value.but(sides=(None,) * (len(counts) - len(value.sides)) + value.sides)
    for at, n in enumerate(counts, len(value.sides) - len(counts)):
        node, axes = unpacked(value)
        if n != 1:
            apart = packed(node, [*axes[:at], (None, Dim(n, fixed=True)), *axes[at:]])
            value = _flatten(apart, at, at + 1)
    return value


def _expand(value: Value, *shape: Any) -> Value:
    shape = listed(shape)
    sides: list[Dim | None] = []
    offset = len(shape) - len(value.sides)
    for place, given in enumerate(shape):
        own = value.sides[place - offset] if place >= offset else None
        count = plain(given)
        if count != -1 and (count != 1 or own is not None):
            dim = side_of(given)
            own = dim if own is None else own.merge(dim)
        sides.append(own)
    return Value(value.node, tuple(sides))


def _flip(value: Value, *axes: Any, dim: Any = ()) -> Value:
    return keeping("flip", value, listed(axes) or dim)


def _roll(value: Value, shifts: Any, dim: Any = None) -> Value:
    """roll, along one dimension. Raises NoRuleError."""
    node, axes = unpacked(value)
    (at,) = dims(value, dim)
    index, side = axes[at]
    if side is None:
        raise NoRuleError("no rule for roll with these arguments")
    axis = [(index, side)]
    return packed(call("roll", [(axis, node)], axis, (plain(shifts),)), axes)


RULES: Mapping[str, Rule] = {
    "T": lambda value: _permute(value, [*range(len(value.sides))][::-1]), "mT": lambda value: swapped(value, -1, -2),
    "transpose": swapped, "permute": _permute, "moveaxis": _moveaxis, "squeeze": _squeeze, "reshape": _reshape,
    "flatten": _flatten, "expand": _expand, "reshape_as": lambda value, other: _reshape(value, *_size(other)),
    "expand_as": lambda value, other: Value(value.node, broadcast(value.sides, other.sides)), "flip": _flip,
    "roll": _roll, "unflatten": _unflatten, "repeat": _repeat, "tile": _repeat, "size": _size,
    "len": lambda value: length(value.sides[0]), "ndim": lambda value: len(value.sides),
}  # fmt: skip
