"""The gradients of an expression as formulas: each named step after those that use it."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from gradcli.algebra.adjoint import gradients
from gradcli.algebra.choice import Simplifier
from gradcli.algebra.indices import rename, substituted, with_indices
from gradcli.algebra.nodes import ZERO, Dim, Index, Node, delta, names_of, sym
from gradcli.algebra.products import mul
from gradcli.algebra.terms import add
from gradcli.algebra.walk import Value, Walk, in_steps


class Gradients(NamedTuple):
    """The gradient of an expression by its inputs, and by its steps from the last one back."""

    inputs: dict[str, Node | None]
    """None for an input that the result does not depend on."""
    steps: list[tuple[str, Node]]
    lost: dict[str, str]
    """Inputs and steps without a gradient, since there is no rule on the way to them: the reason."""


def differentiated(
    walk: Walk, inputs: Mapping[str, Value], upstream: Node, *, apart: bool
) -> Gradients:
    """The gradient for every input; `apart`: every step's gradient is a tensor of its own, `dNAME`.

    `upstream` has the free indices of the value. Raises TooLongError.
    """
    adjoints: dict[str, list[Node]] = {}
    lost: dict[str, str] = {}
    simplest = Simplifier()
    values = {**inputs, **{name: own for name, (own, _) in walk.steps.items()}}

    def spread(node: Node, adjoint: Node, axes: Mapping[int, Dim], known: Node | None) -> None:
        found, missing = gradients(node, adjoint, axes, known)
        lost.update(missing)
        for name, uses in found.items():
            if name in values:
                parts = [_at(values[name], indices, part) for indices, part in uses]
                adjoints.setdefault(name, []).extend(parts)

    def total(name: str) -> Node:
        return simplest(in_steps(add(*adjoints[name]), walk))

    spread(walk.value.node, upstream, walk.value.varying, None)
    found: list[tuple[str, Node]] = []
    for name, (own, value) in reversed(walk.steps.items()):
        if name in lost:
            lost |= dict.fromkeys(names_of(value.node), lost[name])
            continue
        adjoint = total(name) if name in adjoints else ZERO
        if adjoint is not ZERO:
            if f"d{name}" not in values:  # otherwise that name is taken
                found.append((name, adjoint))
                if apart and adjoint.kind != "num":
                    adjoint = sym(f"d{name}", own.node.data[1])
            spread(value.node, adjoint, own.varying, own.node)
    known = adjoints.keys() - lost.keys()
    return Gradients({name: total(name) if name in known else None for name in inputs}, found, lost)


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
            other = names[index] if isinstance(index, int) else index
            factors.append(delta(own, other, side))
    # Both kinds of indices may be small numbers: they change places at once.
    return mul(rename(part, names), *factors)


def inlined(node: Node, steps: Mapping[str, tuple[Value, Value]]) -> Node:
    """A formula with some steps, which are given, replaced by what they are computed as."""
    values = {n: partial(with_indices, value.node, own.axes) for n, (own, value) in steps.items()}
    while names_of(node) & values.keys():
        node = substituted(node, values)
    return node
