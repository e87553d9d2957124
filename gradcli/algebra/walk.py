"""An expression as a formula: its program is followed with nodes in place of tensors.

Sizes stay open: `len(x)` is the size of a side, and sides that must agree are merged.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, TypeAlias

from gradcli.algebra.adjoint import NoRule
from gradcli.algebra.nodes import (
    Dim,
    Index,
    Node,
    add,
    divide,
    fn,
    fresh,
    mul,
    neg,
    num,
    power,
    powers,
    product,
    ratio,
    rename,
    size,
    sub,
    sums_to_one,
    sym,
    transformed,
)
from gradcli.language.expressions import expression
from gradcli.language.expressions.program import Expression, Step
from gradcli.language.source import Source

Sides: TypeAlias = tuple[Dim | None, ...]
"""The sides of a tensor; None is a side of size 1 along which the tensor does not vary."""


@dataclass(frozen=True)
class Value:
    """A tensor: its elements, its sides, and for a plain whole number its value at the given sizes.

    The index of a side is its place from the end.
    """

    node: Node
    sides: Sides = ()
    count: int | None = None
    """The value of a plain number that was computed from sizes."""

    def but(self, **changes: Any) -> "Value":
        """The same with other fields."""
        return replace(self, **changes)

    @property
    def axes(self) -> tuple[int | None, ...]:
        """The index of each side; None where the tensor does not vary."""
        last = len(self.sides) - 1
        return tuple(None if d is None else last - i for i, d in enumerate(self.sides))


@dataclass(frozen=True)
class Module:
    """A module of torch.nn that was made: the function that it applies, and its settings."""

    name: str
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]


@dataclass
class Walk:
    """An expression that was followed: its value, its named steps, and what was assumed."""

    value: Value
    steps: dict[str, tuple[Value, Value]] = field(default_factory=dict)
    """By name, in order: the step as a tensor of its own, and what it was computed as."""
    assumed: list[str] = field(default_factory=list)
    """The conditions that were decided by the given numbers or sizes."""


def walk(
    program: Expression, inputs: Mapping[str, Any], *, named: bool, most: int | None = None
) -> Walk:
    """Follow a program; `named`: its steps are tensors of their own.

    Raises NoRule for what has no formula, Unequal for sizes that do not agree.
    """
    done = Walk(Value(num(0)))
    scope: dict[str, Any] = dict(inputs)
    stack: list[Any] = []
    last = {step.name: at for at, step in enumerate(program.steps) if step.kind == "store"}
    at, end, work = 0, len(program.steps), 0
    while at < end:
        step = program.steps[at]
        at += 1
        work += 1
        match step.kind:
            case "constant":
                stack.append(step.value)
            case "dtype":
                stack.append(_DTYPE)
            case "load":
                stack.append(scope[step.name])
            case "store":
                value = stack[-1]
                own = named and last[step.name] == at - 1 and step.name not in inputs
                if (
                    own
                    and isinstance(value, Value)
                    and value.count is None
                    and value.node.weight > 1
                ):
                    value = _named(step.name, value, done)
                scope[step.name] = value
            case "drop":
                stack.pop()
            case "copy":
                stack.append(stack[-1])
            case "unpack":
                stack.extend(reversed(stack.pop()))
            case "jump":
                at = step.value  # type: ignore[assignment]
            case "branch":
                condition = stack.pop()
                if not isinstance(condition, bool | int | float):
                    raise NoRule("no rule for a condition on a tensor")
                done.assumed.append(program.source.text[step.span.start : step.span.stop])
                if not condition:
                    at = step.value  # type: ignore[assignment]
            case _:
                operands = stack[len(stack) - step.take :]
                del stack[len(stack) - step.take :]
                stack.append(_computed(step, operands))
    value = tensor(stack[-1])
    done.value = value.but(node=in_steps(value.node, done))
    return done


_DTYPE = object()


def _named(name: str, value: Value, done: Walk) -> Value:
    """A step as a tensor of its own."""
    places: list[Index] = [() if index is None else index for index in value.axes]
    own = Value(sym(name, places), value.sides)
    value = value.but(node=in_steps(value.node, done))
    node = value.node
    if node.kind == "call" and node.data[0] in ("softmax", "one_hot") and node.data[2][0] in places:
        sums_to_one(name, places.index(node.data[2][0]))
    done.steps[name] = (own, value)
    return own


def in_steps(node: Node, done: Walk) -> Node:
    """A node with the steps before it in place of what they were computed as."""
    known = {
        value.node: own.node
        for own, value in done.steps.values()
        if value.node.free or value.node.weight > 3
    }
    products = [(*powers(value), own) for value, own in known.items() if value.kind == "mul"]
    made = dict(known)

    def change(node: Node) -> Node:
        if node not in made:
            made[node] = changed(node)
        return made[node]

    def changed(node: Node) -> Node:
        if node.kind == "mul":
            for coefficient, factors, own in products:
                if all(node.data[1].get(base) is by for base, by in factors):
                    rest = [(b, e) for b, e in node.data[1].items() if (b, e) not in factors]
                    return change(product(ratio(node.data[0], coefficient), [*rest, (own, num(1))]))
        return transformed(node, change)

    return change(node) if known else node


def tensor(value: Any) -> Value:
    """A value as a tensor. Raises NoRule for what is none."""
    if isinstance(value, Value):
        return value
    if isinstance(value, bool | int | float):
        if isinstance(value, float):
            for name, constant in (("pi", math.pi),):
                if value == constant:
                    return Value(fn(name))
        return Value(num(float(value) if isinstance(value, float) else int(value)))
    raise NoRule(f"no rule for a {type(value).__name__}")


def _computed(step: Step, operands: list[Any]) -> Any:
    from gradcli.algebra.rules import apply

    match step.kind:
        case "tuple" | "list":
            return _sequence(step, operands)
        case "slice":
            return slice(*operands)
        case "unbind":
            return _unbound(operands[0], step.value)
        case "operator":
            return _operator(step.name, operands)
        case "compare":
            return _compared(step.value, operands)  # type: ignore[arg-type]
        case "apply":
            listed, keywords = step.split(operands)
            module, *arguments = listed
            if not isinstance(module, Module):
                raise NoRule("no rule for a call of this")
            return apply(
                module.name, [*arguments, *module.arguments], {**module.keywords, **keywords}
            )
        case "attribute":
            return apply(step.name, operands, {})
        case "index":
            return apply("index", operands, {})
    listed, keywords = step.split(operands)
    if "*" in keywords:
        raise NoRule("no rule for arguments with *")
    name = step.name.rpartition(".")[2]
    if step.name.startswith("nn.") and name[:1].isupper():
        return Module(name, tuple(listed), keywords)
    return apply(step.name if step.name.startswith("catalogue.") else name, listed, keywords)


def _sequence(step: Step, operands: list[Any]) -> Any:
    if step.value:
        raise NoRule("no rule for *")
    return tuple(operands) if step.kind == "tuple" else operands


def _unbound(value: Any, count: Any) -> Any:
    if isinstance(value, tuple | list):
        return tuple(value)
    from gradcli.algebra.rules import apply

    return tuple(apply("index", [value, place], {}) for place in range(count))


_PLAIN: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b,
    "//": lambda a, b: a // b, "%": lambda a, b: a % b, "**": lambda a, b: a**b,
    "<": lambda a, b: a < b, "<=": lambda a, b: a <= b, ">": lambda a, b: a > b, ">=": lambda a, b: a >= b,
    "==": lambda a, b: a == b, "!=": lambda a, b: a != b,
}  # fmt: skip
_BINARY: Mapping[str, Callable[[Node, Node], Node]] = {
    "+": add, "-": sub, "*": mul, "/": divide, "**": power,
    **{name: lambda a, b, name=name: fn(name, a, b) for name in ("<", "<=", ">", ">=", "==", "!=", "&", "|")},  # type: ignore[misc]
}  # fmt: skip


def plain(value: Any) -> Any:
    """The number that a plain value has at the given sizes; None for a tensor."""
    if isinstance(value, bool | int | float):
        return value
    return value.count if isinstance(value, Value) else None


def _operator(symbol: str, operands: list[Any]) -> Any:
    if len(operands) == 1:
        (value,) = operands
        if symbol in ("-", "+"):
            if not isinstance(value, Value):
                return -value if symbol == "-" else +value
            return (
                value
                if symbol == "+"
                else value.but(
                    node=neg(value.node), count=None if value.count is None else -value.count
                )
            )
        raise NoRule(f"no rule for {symbol}")
    left, right = operands
    numbers = plain(left), plain(right)
    if not isinstance(left, Value) and not isinstance(right, Value):
        if isinstance(left, tuple | list) or isinstance(right, tuple | list):
            return left + right if symbol == "+" else left * right
        return _PLAIN[symbol](left, right)
    if symbol == "@":
        from gradcli.algebra.rules import apply

        return apply("matmul", operands, {})
    if symbol not in _BINARY:
        if None not in numbers:
            return _PLAIN[symbol](*numbers)
        raise NoRule(f"no rule for {symbol}")
    found = elementwise(_BINARY[symbol], tensor(left), tensor(right))
    if None not in numbers and symbol in _PLAIN:
        count = _PLAIN[symbol](*numbers)
        return found.but(count=count) if isinstance(count, int) else found
    return found


def _compared(symbols: Sequence[str], operands: list[Any]) -> Any:
    (symbol,) = symbols if len(symbols) == 1 else ("",)
    if not symbol:
        raise NoRule("no rule for a chain of comparisons")
    numbers = [plain(operand) for operand in operands]
    if None not in numbers:
        return _PLAIN[symbol](*numbers)
    if any(isinstance(operand, str) or operand is None for operand in operands):
        return _PLAIN[symbol](*operands)
    return elementwise(_BINARY[symbol], *map(tensor, operands))


def elementwise(compute: Callable[..., Node], *values: Value) -> Value:
    """A function of the elements of values that broadcast together. Raises Unequal."""
    return Value(compute(*(value.node for value in values)), broadcast(*(v.sides for v in values)))


def broadcast(*shapes: Sides) -> Sides:
    """The sides of tensors that broadcast together, which are merged."""
    sides: list[Dim | None] = [None] * max(map(len, shapes))
    for shape in shapes:
        for place, dim in enumerate(shape, len(sides) - len(shape)):
            known = sides[place]
            sides[place] = known if dim is None else dim.root if known is None else known.merge(dim)
    return tuple(sides)


def unpacked(value: Value) -> tuple[Node, list[int]]:
    """The elements of a value with a new index for each side."""
    indices = [fresh() for _ in value.sides]
    last = len(indices) - 1
    return rename(value.node, {last - i: index for i, index in enumerate(indices)}), indices


def packed(node: Node, indices: Sequence[int | None], sides: Sequence[Dim | None]) -> Value:
    """The value whose sides have these indices in `node`."""
    last = len(indices) - 1
    names = {index: last - i for i, index in enumerate(indices) if index is not None}
    return Value(rename(node, names), tuple(sides))


@lru_cache(maxsize=500)
def _formula(text: str, names: tuple[str, ...]) -> Expression:
    return expression.parse(Source(text), names)


def formula(text: str, names: Mapping[str, Any]) -> Value:
    """A formula of the catalogue, of these values."""
    return walk(_formula(text, tuple(names)), names, named=False).value


def input_value(name: str, shape: Sequence[int], single: Collection[int] = ()) -> Value:
    """An input of this shape; its sides in `single` are of size 1, and broadcast."""
    sides: list[Dim | None] = []
    for axis, length in enumerate(shape):
        if axis in single:
            sides.append(None)
            continue
        dim = Dim(length)
        dim.places.append((name, axis, len(shape)))
        sides.append(dim)
    value = Value(num(0), tuple(sides))
    places: list[Index] = [() if index is None else index for index in value.axes]
    return value.but(node=sym(name, places))


def length(dim: Dim | None) -> Value:
    """The size of a side as a plain number."""
    if dim is None:
        return Value(num(1), (), 1)
    return Value(size(dim), (), dim.root.size)
