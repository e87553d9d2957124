"""The writer of formulas: whole formulas, the leaves of them, and the layout of tensors."""

from collections.abc import Collection, Mapping, Sequence
from itertools import count
from typing import Any

from gradcli.algebra.indices import arguments_of, opened, rename
from gradcli.algebra.nodes import Dim, Node, NoRuleError, names_of, number, state, sym
from gradcli.algebra.writing import additive, factors, summing, tensorwise
from gradcli.algebra.writing.layouts import DIAGONAL, Axes, Binds, Text, decimal, spelled
from gradcli.language.assignment import in_expression

_OWN = 500
"""The first name of the axes of what is written: those of tensors are smaller, new ones larger."""


class Writer:
    """Writes formulas; `tensors` are the sides of the inputs, `classes` those that are class indices
    given as floats.
    """

    def __init__(
        self, tensors: Mapping[str, Sequence[Dim | None]], classes: Collection[str] = ()
    ) -> None:
        self.tensors = tensors
        self.classes = classes
        self.like = ""
        self.like_axes: Axes = ()
        self.nested: dict[tuple[Node, frozenset[int]], dict[Node, dict[int, Dim]]] = {}
        """Of a sum, its elements with some indices summed inside, and what is left to sum."""
        self._done: dict[tuple[Node, Axes], Text] = {}
        self._opened: dict[Node, Any] = {}
        self._inner: dict[str, tuple[tuple[int, ...], Node]] = {}
        self._given: dict[str, Text] = {}

    def tensor(self, node: Node, axes: Axes, like: str) -> str:
        """A formula in the shape of the tensor `like`, which has these axes. Raises NoRuleError."""
        like = in_expression(like)
        self.like, self.like_axes = like, axes if like else (-1,)
        value = number(node)
        if value is not None and axes:
            if value in (0, 1):
                return f"{'ones' if value else 'zeros'}_like({like})"
            return f"full_like({like}, {decimal(value)})"
        text = self.write(node, axes).as_float
        # A formula may read a step as mu[0], so its first sides are written even where they are 1.
        missing = axes[: len(axes) - len(text.layout)]
        if {*missing} == {None} and (text.layout or not like):
            nones = ", ".join(map(str, missing))
            text = Text(f"{text.atom}[{nones}]", layout=axes)
        if text.layout == axes or not like:
            return text.text
        if not text.layout and text.binds >= Binds.PRODUCT and not text.chain:
            return f"{text.text}*ones_like({like})"
        if not names_of(node):
            return f"full_like({like}, {text.text})"
        return f"{text.atom}.expand_as({like})"

    def write(self, node: Node, axes: Axes) -> Text:
        """A node for these axes, of which it may lack some. Raises NoRuleError."""
        needed = (i for i, a in enumerate(axes) if a is None or a in node.free)
        first = next(needed, len(axes))
        if first and not _begins_with_one(node):
            axes = axes[first:]
        key = (node, axes)
        if key not in self._done:
            # What differs by the names of its axes alone is written once.
            theirs = (axis for axis in axes if axis is not None and axis not in self.like_axes)
            names = dict(zip(theirs, count(_OWN)))
            own = rename(node, names), _named(axes, names)
            if own == key:
                self._done[key] = self._write(*key)
            else:
                text, back = self.write(*own), {name: axis for axis, name in names.items()}
                self._done[key] = text._replace(layout=_named(text.layout, back))
        return self._done[key]

    def _write(self, node: Node, axes: Axes) -> Text:
        match node.kind:
            case "num":
                return spelled(node.data)
            case "size":
                size = self.size(node.data)
                return Text(size, Binds.SUM if " - " in size else Binds.ATOM)
            case "sym":
                return self._sym(node, axes)
            case "delta":
                return self._delta(node, axes)
            case "add":
                return additive.add(self, node, axes)
            case "mul":
                return factors.mul(self, node, axes)
            case "fn":
                return additive.fn(self, node, axes)
            case "sigma":
                return summing.sigma(self, node, axes)
        return tensorwise.call(self, node, axes)

    def open(self, node: Node) -> Any:
        """A sum opened, or the arguments of a call, always in the same way: its parts are written once."""
        if node not in self._opened:
            self._opened[node] = opened(node) if node.kind == "sigma" else arguments_of(node)
        return self._opened[node]

    def stand_in(self, inner: Node) -> Node:
        """A tensor that is written as `inner`, and not taken apart by what is around it."""
        name = f"inner {inner.number}"
        own = tuple(sorted(inner.free))
        self._inner[name] = own, inner
        return sym(name, own)

    def given(self, text: str, axes: Sequence[int]) -> Node:
        """A tensor with these axes that is written as a text."""
        name = f"given {len(self._given)}"
        self._given[name] = Text(text)
        return sym(name, axes)

    def named(self, node: Node) -> str | None:
        """The text of a tensor with all its sides; None if it is only written as parts of it."""
        name = node.data[0]
        if name in self._given:
            return self._given[name].text
        return None if name in self._inner else in_expression(name)

    def size(self, dim: Dim) -> str:
        """The size of a side: `len(y)`, `X.shape[1]`, or its number."""
        dim = dim.root
        if dim.is_number:
            return str(dim.size)
        if dim.parts and not dim.places:
            return "*".join(map(self.size, dim.parts))
        if dim.cut and not dim.places:
            source, less = dim.cut
            return f"{self.size(source)} - {less}"
        name, axis, _ = min(dim.places, key=lambda it: (it[1] > 0, it[2], len(it[0])))
        return f"{in_expression(name)}.shape[{axis}]" if axis else f"len({in_expression(name)})"

    def _sym(self, node: Node, axes: Axes) -> Text:
        name, indices = node.data
        kind = Binds.TRUTH if name in state().conditions else Binds.ATOM
        if name in self._inner:
            own, inner = self._inner[name]
            return self.write(rename(inner, dict(zip(own, indices, strict=True))), axes)
        if name in self._given:
            return self.laid(self._given[name], indices, axes)
        layout = tuple(index if isinstance(index, int) else None for index in indices)
        behind = axes[max(len(axes) - len(layout), 0) :]
        if () in indices and len(layout) <= len(axes):
            fits = all(mine in (None, asked) for mine, asked in zip(layout, behind, strict=True))
            if fits and all(isinstance(index, int) or index == () for index in indices):
                return Text(in_expression(name), kind, layout)
        places = [":" if isinstance(i, int) else str(i[0] if i else 0) for i in indices]
        while places and places[-1] == ":":
            places.pop()
        text = in_expression(name)
        text = f"{text}.long()" if name in self.classes else text
        text = f"{text}[{', '.join(places)}]" if places else text
        varying = tuple(index for index in layout if index is not None)
        return self.laid(Text(text, kind), varying, axes)

    def laid(self, text: Text, own: Axes, axes: Axes) -> Text:
        """A text whose axes are `own`, for the axes that are asked for. Raises NoRuleError."""
        if not own:
            return text
        if len(set(own)) < len(own):
            if len(own) != 2:
                raise NoRuleError("no short text for a diagonal")
            text, own = Text(f"{text.atom}{DIAGONAL}"), own[:1]
        order = tuple(index for index in axes if index in own)
        if len(order) < len(own):
            raise NoRuleError("no short text for these axes")
        layout = tuple(i if i in own else None for i in axes[axes.index(order[0]) :])
        if layout == own:
            return text._replace(layout=layout)
        turned = text.atom
        if order != own and len(own) == 2:
            turned = turned[:-2] if turned.endswith(".T") else f"{turned}.T"
        elif order != own:
            turned += _permuted([own.index(index) for index in order])
        if None in layout:
            turned += f"[{', '.join('None' if i is None else ':' for i in layout)}]"
        return Text(turned, Binds.TRUTH if text.is_truth else Binds.ATOM, layout)

    def _delta(self, node: Node, axes: Axes) -> Text:
        left, right, dim = node.data
        text = Text(f"eye({self.size(dim)})")
        if isinstance(left, tuple) or isinstance(right, tuple):
            index, (place,) = (right, left) if isinstance(left, tuple) else (left, right)
            return self.laid(Text(f"{text.text}[{place}]"), (index,), axes)
        return self.laid(text, tuple(index for index in axes if index in (left, right)), axes)


def _named(axes: Axes, names: Mapping[int, int]) -> Axes:
    """Axes of which some have other names."""
    return tuple(axis if axis is None else names.get(axis, axis) for axis in axes)


def _permuted(places: Sequence[int]) -> str:
    """The method that brings axes from these places: one exchange or two where they do it."""
    for order, after in ((places, ""), ([*places[:-2], *places[:-3:-1]], ".mT")):
        moved = [place for place, was in enumerate(order) if place != was]
        if len(moved) == 2:
            one, two = moved
            return f".transpose({one}, {two}){after}" if one < len(order) - 2 else ".mT"
    return f".permute({', '.join(map(str, places))})"


def _begins_with_one(node: Node) -> bool:
    """Whether the text of a node has a tensor whose first side is 1, so that it is as it is only
    beside a tensor of as many sides.
    """
    if node.kind == "sym":
        return bool(node.data[1][:1] == ((),))
    return node.kind in ("add", "mul", "fn") and any(map(_begins_with_one, node.children))
