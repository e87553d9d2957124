"""The gradients of an expression as formulas: each named step after those that use it."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from gradcli.algebra.adjoint import gradients
from gradcli.algebra.choice import Simplifier
from gradcli.algebra.indices import rename, substituted
from gradcli.algebra.nodes import ZERO, Dim, Index, Node, delta, names_of, sym
from gradcli.algebra.products import mul
from gradcli.algebra.terms import add
from gradcli.algebra.walk import Value, Walk, in_steps


class Gradients(NamedTuple):
    """The gradient of an expression by its inputs, and by its steps from the last one back."""

    inputs: dict[str, Node | None]
    """None for an input that the result does not depend on."""
    steps: list[tuple[str, Node]]


def sided(value: Value) -> dict[int, Dim]:
    """The index of each side along which a value may vary."""
    return {
        i: d
        for i, d in zip(value.axes, value.sides, strict=True)
        if i is not None and d is not None
    }


def differentiated(
    walk: Walk, inputs: Mapping[str, Value], upstream: Node, *, apart: bool
) -> Gradients:
    """The gradient by every input; `apart`: every step's gradient is a tensor of its own, `dNAME`.

    `upstream` has the free indices of the value. Raises NoRuleError, TooLongError.
    """
    adjoints: dict[str, list[Node]] = {}
    simplest = Simplifier()
    values = {**inputs, **{name: own for name, (own, _) in walk.steps.items()}}

    def spread(
        node: Node, adjoint: Node, axes: Mapping[int, Dim], known: Node | None = None
    ) -> None:
        for name, uses in gradients(node, adjoint, axes, known).items():
            if name in values:
                for indices, part in uses:
                    adjoints.setdefault(name, []).append(_at(values[name], indices, part))

    spread(walk.value.node, upstream, sided(walk.value))
    found: list[tuple[str, Node]] = []
    for name, (own, value) in reversed(walk.steps.items()):
        if name not in adjoints:
            continue
        adjoint = simplest(in_steps(add(*adjoints[name]), walk))
        if adjoint is ZERO:
            continue
        found.append((name, adjoint))
        if apart and adjoint.kind != "num":
            adjoint = sym(f"d{name}", own.node.data[1])
        spread(value.node, adjoint, sided(own), own.node)
    totals = {
        name: simplest(in_steps(add(*adjoints[name]), walk)) if name in adjoints else None
        for name in inputs
    }
    return Gradients(totals, found)


def _at(value: Value, indices: Sequence[Index], part: Node) -> Node:
    """The adjoint of one use of a tensor, at the tensor's own indices."""
    names: dict[int, Index] = {}
    factors = []
    for own, side, index in zip(value.axes, value.sides, indices, strict=False):
        if own is None or side is None:
            continue
        if isinstance(index, int) and index not in names:
            names[index] = own
        else:
            factors.append(
                (own, names.get(index, index) if isinstance(index, int) else index, side)
            )
    # Both kinds of indices may be small numbers: they change places at once.
    moved = rename(part, names)
    return mul(moved, *(delta(own, index, side) for own, index, side in factors))


def inlined(node: Node, walk: Walk, names: Sequence[str]) -> Node:
    """A formula with some steps replaced by what they are computed as."""
    values: dict[str, Callable[[Sequence[Index]], Node]] = {}
    for name in names:
        own, value = walk.steps[name]

        def element(indices: Sequence[Index], own: Value = own, value: Value = value) -> Node:
            names = {
                mine: it for mine, it in zip(own.axes, indices, strict=True) if mine is not None
            }
            return rename(value.node, names)

        values[name] = element
    while names_of(node).keys() & values.keys():
        node = substituted(node, values)
    return node
