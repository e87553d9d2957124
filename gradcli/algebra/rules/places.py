"""Elements at places: indices, slices, look-ups, and tensors joined or cut along a side."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

from gradcli.algebra.elementwise import is_condition
from gradcli.algebra.indices import call, rename, sigma, with_indices
from gradcli.algebra.nodes import Dim, Index, Node, NoRuleError, fresh, num
from gradcli.algebra.products import mul
from gradcli.algebra.rules.reducing import Rule, dims
from gradcli.algebra.rules.sides import side_of
from gradcli.algebra.walk import Axis, Value, broadcast, packed, plain, size_of, tensor, unpacked

_EVERYTHING = slice(None)
_Axes = list[tuple[int, Dim | None]]
"""The axes of a tensor, an index of its own for each side."""


def _index(value: Any, places: Any) -> Any:
    """value[places]: numbers, slices, None, `...`, and tensors of places. Raises NoRuleError."""
    if isinstance(value, tuple | list):
        return value[plain(places) if isinstance(places, Value) else places]
    places = list(places) if isinstance(places, tuple) else [places]
    given = sum(place is not None and place is not Ellipsis for place in places)
    if given > len(value.sides):  # a condition of a single number, as in x[x > 0]
        raise NoRuleError("no rule for this index")
    if not any(place is Ellipsis for place in places):
        places.append(Ellipsis)
    at = next(i for i, place in enumerate(places) if place is Ellipsis)
    places[at : at + 1] = [_EVERYTHING] * (len(value.sides) - given)
    node, axes = unpacked(value)
    own = iter(axes)
    outs: list[Axis] = []
    looked_up: list[tuple[Value, int, Dim]] = []
    spot = 0
    for place in places:
        if place is None:
            outs.append((None, None))
            continue
        name, side = next(own)
        number = plain(place)
        if isinstance(place, slice):
            node, out = _sliced(node, name, side, place)
            outs.append(out)
        elif number is not None and not isinstance(number, bool):
            if side is not None:
                node = rename(node, {name: (int(number),)})
        elif isinstance(place, Value) and side is not None and not is_condition(place.node):
            spot = spot if looked_up else len(outs)
            looked_up.append((place, name, side))
        else:
            raise NoRuleError("no rule for this index")
    if looked_up:
        node, outs[spot:spot] = _looked_up(node, looked_up)
    return packed(node, outs)


def _sliced(node: Node, name: int, side: Dim | None, place: slice) -> tuple[Node, Axis]:
    """A slice, whose bounds count from that end from which the user counted."""
    bounds = (None if p is None else plain(p) for p in (place.start, place.stop, place.step))
    first, last, by = slice(*bounds).indices(size_of(side))
    taken = len(range(first, last, by))
    if (first, by) == (0, 1) and last >= size_of(side):
        return node, (name, side)
    if side is None or not taken:
        raise NoRuleError("no rule for this slice")
    start = _bound(place.start, first, side) or 0
    stop = None if place.stop is None else _bound(place.stop, last, side)
    if taken == 1:
        return rename(node, {name: (start,)}), (None, None)
    dim, out = Dim(taken, fixed=side.root.fixed), fresh()
    if not isinstance(place.start, Value) and not isinstance(place.stop, Value):
        if (start < 0) == (stop is None or stop < 0):
            dim.fixed = True
        elif by == 1:
            dim.cut = side.root, side.root.size - taken
    return call("slice", [([(name, side)], node)], [(out, dim)], (start, stop, by)), (out, dim)


def _bound(given: Any, at: int, side: Dim) -> int | None:
    """A bound of a slice that is `at` a place: negative from the end, None for the end. One that was
    computed from sizes counts from the end that is near.
    """
    before = side.root.size - at
    number = plain(given)
    of_sizes = isinstance(given, Value) and given.node.kind != "num"
    from_end = before < 4 if of_sizes else number is not None and number < 0
    return -before or None if from_end or not before else at


def _looked_up(node: Node, found: Sequence[tuple[Value, int, Dim]]) -> tuple[Node, list[Axis]]:
    """`a[arange(n), t]` and `a[t]`: sums of one-hot rows times the elements."""
    shape = broadcast(*(places.sides for places, _, _ in found))
    axes: list[Axis] = [(None if side is None else fresh(), side) for side in shape]
    over: dict[int, Dim] = {}
    factors = []
    for places, name, side in found:
        names: dict[int, Index] = {}
        for at, (index, _) in enumerate(axes[::-1]):
            if index is not None and at < len(places.sides):
                names[at] = index
        picked = rename(places.node, names)
        if picked.is_call("arange"):
            (out,) = picked.data[2]
            side.merge(axes[-1][1] or side)
            node = rename(node, {name: out})
            continue
        over[name] = side
        factors.append(call("one_hot", [([], picked)], [(name, side)]))
    return sigma(over, mul(node, *factors)), axes


def _unsqueeze(value: Value, dim: Any) -> Any:
    at = plain(dim) % (len(value.sides) + 1)
    return _index(value, (*[_EVERYTHING] * at, None, Ellipsis))


def _select(value: Value, dim: Any, place: Any) -> Any:
    return _index(value, (*[_EVERYTHING] * (plain(dim) % len(value.sides)), place))


def _arange(*bounds: Any) -> Value:
    """arange from 0. Raises NoRuleError for other bounds."""
    if len(bounds) != 1:
        raise NoRuleError("no rule for arange with these arguments")
    side = side_of(bounds[0])
    return Value(call("arange", [], [(0, side)]), (side,))


def one_hot(places: Value, classes: Any) -> Value:
    """1 at a place, 0 at the other classes."""
    node, axes = unpacked(places)
    out = (fresh(), side_of(classes))
    return packed(call("one_hot", [([], node)], [out]), [*axes, out])


def _gather(value: Value, dim: Any, index: Value) -> Value:
    (at,) = dims(value, dim)
    node, axes = unpacked(value)
    name, side = axes[at]
    if side is None:
        raise NoRuleError("no rule for gather")
    picked, own = unpacked(index)
    names, outs = _beside(axes, own, at)
    hot = call("one_hot", [([], rename(picked, names))], [(name, side)])
    return packed(sigma({name: side}, mul(node, hot)), outs)


def _chunk(value: Value, chunks: Any, dim: Any = 0) -> tuple[Any, ...]:
    (at,) = dims(value, dim)
    total = size_of(value.sides[at])
    starts = (*range(0, total, -(-total // plain(chunks))), total)
    # The size of a piece depends on that of the whole, so the bounds are not literals.
    return _pieces(value, at, [Value(num(start), (), start) for start in starts])


def _split(value: Value, sizes: Any, dim: Any = 0) -> tuple[Any, ...]:
    """By one size, or a list of them."""
    (at,) = dims(value, dim)
    total = size_of(value.sides[at])
    if isinstance(sizes, tuple | list):
        starts = [sum(map(plain, sizes[:place])) for place in range(len(sizes) + 1)]
    else:
        starts = [*range(0, total, plain(sizes)), total]
    return _pieces(value, at, starts)


def _pieces(value: Value, at: int, starts: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(_select(value, at, slice(*bounds)) for bounds in pairwise(starts))


def _beside(first: _Axes, second: _Axes, apart: int) -> tuple[dict[int, Index], _Axes]:
    """New names of the indices of a second tensor, but for the axis at the place `apart`: those of the
    first one; and its axes with these.
    """
    names: dict[int, Index] = {}
    axes = list(second)
    for place, ((index, one), (other, two)) in enumerate(zip(first, second, strict=True)):
        if place != apart:
            names[other] = index
            axes[place] = (index, broadcast((one,), (two,))[0])
    return names, axes


def _cat(values: Sequence[Any], dim: Any = 0) -> Value:
    """cat. Raises NoRuleError along a side of size 1."""
    (at,) = dims(values[0], dim)
    axes: _Axes = []
    arguments = []
    for value in values:
        node, own = unpacked(value)
        name, side = own[at]
        if side is None:
            raise NoRuleError("no rule for cat along a side of size 1")
        names, axes = _beside(axes or own, own, at)
        arguments.append(([(name, side)], rename(node, names)))
    out = (fresh(), Dim(sum(side.root.size for ((_, side),), _ in arguments)))
    return packed(call("cat", arguments, [out]), [*axes[:at], out, *axes[at + 1 :]])


def _stack(values: Sequence[Any], dim: Any = 0) -> Value:
    tensors = list(map(tensor, values))
    at = plain(dim) % (len(tensors[0].sides) + 1)
    axes = [(fresh(), side) for side in broadcast(*(value.sides for value in tensors))]
    arguments: list[tuple[list[tuple[int, Dim]], Node]] = []
    for value in tensors:
        node, own = unpacked(value)
        arguments.append(([], with_indices(node, [i for i, _ in own], [i for i, _ in axes])))
    out = (fresh(), Dim(len(tensors), fixed=True))
    return packed(call("stack", arguments, [out]), [*axes[:at], out, *axes[at:]])


def _literal(value: Any) -> Value:
    """A tensor of nested lists of numbers."""
    return _stack([*map(_literal, value)]) if isinstance(value, list | tuple) else tensor(value)


RULES: Mapping[str, Rule] = {
    "index": _index, "unsqueeze": _unsqueeze, "select": _select, "gather": _gather, "arange": _arange, "one_hot": one_hot,
    "chunk": _chunk, "split": _split, "cat": _cat, "stack": _stack, "tensor": _literal,
    "unbind": lambda value, dim=0: tuple(_select(value, dim, at) for at in range(size_of(value.sides[dim]))),
    "narrow": lambda value, dim, start, length: _select(value, dim, slice(start, plain(start) + plain(length))),
    "hstack": lambda values: _cat(values, min(len(values[0].sides), 2) - 1),
    "vstack": lambda values: (_cat if len(values[0].sides) > 1 else _stack)(values),
}  # fmt: skip
