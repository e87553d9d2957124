"""An expression as a formula: its program is followed with nodes in place of tensors.

Sizes stay open: `len(x)` is the size of a side, and sides that must agree are merged.
"""

import math
import operator
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache, partial
from typing import Any, TypeAlias, cast

from gradcli.algebra import nodes
from gradcli.algebra.elementwise import fn, negated
from gradcli.algebra.indices import rename, size, transformed
from gradcli.algebra.nodes import ONE, ZERO, Dim, Node, NoRuleError
from gradcli.algebra.products import divide, mul, neg, power, powers, product, without
from gradcli.algebra.terms import add, sub
from gradcli.language.expressions import expression
from gradcli.language.expressions.program import COMPARISONS, Expression, Step, logic
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

    @property
    def varying(self) -> dict[int, Dim]:
        """The index of each side along which it may vary."""
        last = len(self.sides) - 1
        return {last - i: d for i, d in enumerate(self.sides) if d is not None}

    def element(self, name: str) -> Node:
        """An element of a tensor with this name and these sides."""
        return nodes.sym(name, [() if index is None else index for index in self.axes])


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


def walk(program: Expression, inputs: Mapping[str, Any], *, named: bool) -> Walk:
    """Follow a program; `named`: its steps are tensors of their own.

    Raises NoRuleError for what has no formula, UnequalError for sizes that do not agree.
    """
    done = Walk(Value(ZERO))
    scope: dict[str, Any] = dict(inputs)
    stack: list[Any] = []
    last = {step.name: at for at, step in enumerate(program.steps) if step.kind == "store"}
    loads = Counter(step.name for step in program.steps if step.kind == "load")
    at = 0
    while at < len(program.steps):
        step = program.steps[at]
        at += 1
        match step.kind:
            case "constant":
                stack.append(step.value)
            case "dtype":
                stack.append(_DTYPE)
            case "load":
                stack.append(scope[step.name])
            case "store":
                value = scope[step.name] = stack[-1]
                own = isinstance(value, Value) and value.count is None
                read = program.steps[at - 2]
                # Where x is used beside `a = x`, both are one tensor.
                own &= read.kind != "load" or loads[read.name] == 1
                if named and own and last[step.name] == at - 1 and step.name not in inputs:
                    scope[step.name] = _named(step.name, value, done)
            case "drop":
                stack.pop()
            case "copy":
                stack.append(stack[-1])
            case "unpack":
                stack.extend(reversed(stack.pop()))
            case "network":
                del stack[len(stack) - step.take :]
                stack.append(_MODULE)
            case "layers":
                layers, arguments = cast(tuple[Sequence[object], int], step.value)
                at_module = len(stack) - arguments - 1
                stack[at_module : at_module + 1] = [_MODULE] * len(layers)
            case "jump":
                at = _target(step)
            case "branch":
                condition = stack.pop()
                if plain(condition) is None:
                    raise NoRuleError("no rule for a condition on a tensor")
                if isinstance(condition, Value):  # it was computed from sizes
                    done.assumed.append(program.source.text[step.span.start : step.span.stop])
                if not plain(condition):
                    at = _target(step)
            case _:
                operands = stack[len(stack) - step.take :]
                del stack[len(stack) - step.take :]
                stack.append(_computed(step, operands))
    value = tensor(stack[-1])
    done.value = value.but(node=in_steps(value.node, done))
    return done


_DTYPE = object()
_MODULE = object()
"""A module that was made, or a part of it: its layers are in the program."""


def _target(step: Step) -> int:
    assert isinstance(step.value, int)
    return step.value


def _named(name: str, value: Value, done: Walk) -> Value:
    """A step as a tensor of its own; a plain number stays itself."""
    if value.node.kind == "num":
        return value
    own = Value(value.element(name), value.sides)
    value = value.but(node=in_steps(value.node, done))
    node = value.node
    if node.is_call("softmax", "one_hot") and node.data[2][0] in own.node.data[1]:
        nodes.state().shares[name] = own.node.data[1].index(node.data[2][0])
    nodes.state().steps[name] = own.node.data[1], node
    done.steps[name] = (own, value)
    return own


def in_steps(node: Node, done: Walk) -> Node:
    """A node with the steps before it in place of what they were computed as."""
    steps = ((own.node, value.node) for own, value in done.steps.values())
    # A step that only picks or views elements of another tensor replaces nothing.
    replaced = {v: own for own, v in steps if v.kind != "sym" and (v.free or v.weight > 3)}
    products = [(*powers(value), own) for value, own in replaced.items() if value.kind == "mul"]
    # Of a mean, the sum is known too: then sum(x) - len(x)*m is 0.
    for coefficient, factors, own in products:
        sums = [base for base, by in factors if base.kind == "sigma" and by is ONE]
        if len(sums) == 1 and all(base.kind in ("sigma", "size") for base, _ in factors):
            replaced[sums[0]] = mul(
                sums[0], own, power(product(coefficient, factors), nodes.num(-1))
            )

    def change(node: Node) -> Node:
        if node not in replaced:
            replaced[node] = changed(node)
        return replaced[node]

    def changed(node: Node) -> Node:
        if node.kind == "mul":
            for coefficient, factors, own in products:
                if by := _repeats(node.data[1], factors):
                    rest = without(node.data[1].items(), *(base for base, _ in factors))
                    times = nodes.ratio(node.data[0], Fraction(coefficient) ** by)
                    return change(product(times, [*rest, (own, nodes.num(by))]))
        return transformed(node, change)

    return change(node) if replaced else node


def _repeats(found: Mapping[Node, Node], factors: Sequence[nodes.Power]) -> int:
    """How many times all of some factors are in a product, less than 0 for a divisor; 0 if they are not
    so a whole number of times. A root r of x @ x is there 2 times in x @ x.
    """
    if all(found.get(base) is by for base, by in factors):
        return 1
    pairs = [(nodes.number(found.get(base, ZERO)), nodes.number(by)) for base, by in factors]
    times = {Fraction(mine) / by if mine and by else Fraction(0) for mine, by in pairs}
    by, *others = times
    return int(by) if not others and by.denominator == 1 else 0


def tensor(value: Any) -> Value:
    """A value as a tensor. Raises NoRuleError for anything else."""
    if isinstance(value, Value):
        return value
    if isinstance(value, bool | int | float):
        if isinstance(value, float) and abs(value) < 100:
            turns = Fraction(value / math.pi).limit_denominator(12)
            if turns and turns * math.pi == value:  # 2*pi
                return Value(mul(nodes.num(turns), fn("pi")))
        return Value(fn("exp", ONE) if value == math.e else nodes.num(+value))
    raise NoRuleError(f"no rule for a {type(value).__name__}")


def _computed(step: Step, operands: list[Any]) -> Any:
    from gradcli.algebra.rules.named import apply  # the rules are made of walks themselves

    if _MODULE in operands[:1] and step.kind in ("index", "attribute", "method"):
        return _MODULE
    match step.kind:
        case "tuple" | "list":
            if step.value:
                raise NoRuleError("no rule for *")
            return tuple(operands) if step.kind == "tuple" else operands
        case "slice":
            return slice(*operands)
        case "unbind":
            (value,) = operands
            if isinstance(value, tuple | list):
                return tuple(value)
            return tuple(apply("index", [value, place], {}) for place in range(_target(step)))
        case "operator":
            if step.name == "@":
                return apply("matmul", operands, {})
            return _operator(step.name, operands)
        case "compare":
            symbols = step.value
            if not isinstance(symbols, Sequence) or len(symbols) != 1:
                raise NoRuleError("no rule for a chain of comparisons")
            return _operator(symbols[0], operands)
        case "attribute":
            return apply(step.name, operands, {})
        case "index":
            return apply("index", operands, {})
    listed, keywords = step.split(operands)
    if step.kind == "apply":
        module, *listed = listed
        if not isinstance(module, Module):
            raise NoRuleError("no rule for a call of this")
        return apply(module.name, [*listed, *module.arguments], {**module.keywords, **keywords})
    if "*" in keywords:
        raise NoRuleError("no rule for arguments with *")
    name = step.name.rpartition(".")[2]
    name = "linalg.norm" if step.name.endswith("linalg.norm") else name
    if step.name.startswith("nn.") and name[:1].isupper():
        return Module(name, tuple(listed), keywords)
    return apply(step.name if step.name.startswith("catalogue.") else name, listed, keywords)


_PLAIN: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
    "//": operator.floordiv, "%": operator.mod, "**": operator.pow, **COMPARISONS,
}  # fmt: skip
_BINARY: Mapping[str, Callable[[Node, Node], Node]] = {
    "+": add, "-": sub, "*": mul, "/": divide, "**": power,
    **{name: partial(fn, name) for name in (*COMPARISONS, "&", "|")},
}  # fmt: skip


def plain(value: Any) -> Any:
    """The number that a plain value has at the given sizes; None for a tensor."""
    if isinstance(value, bool | int | float):
        return value
    return value.count if isinstance(value, Value) else None


def _operator(symbol: str, operands: list[Any]) -> Any:
    numbers = [plain(operand) for operand in operands]
    tensors = any(isinstance(operand, Value) for operand in operands)
    if symbol in ("and", "or", "not"):
        if None in numbers:
            raise NoRuleError(f"no rule for {symbol} of these")
        return _of_sizes(logic(symbol, operands, numbers), tensors)
    if symbol in COMPARISONS:
        if None not in numbers:
            return _of_sizes(_PLAIN[symbol](*numbers), tensors)
        if any(isinstance(operand, str) or operand is None for operand in operands):
            return _PLAIN[symbol](*operands)
        return elementwise(_BINARY[symbol], *map(tensor, operands))
    if len(operands) == 1:
        (value,) = operands
        if symbol == "~" and tensors:
            return elementwise(negated, value)
        if symbol not in ("-", "+"):
            raise NoRuleError(f"no rule for {symbol}")
        if symbol == "+":
            return value if tensors else +value
        count = None if None in numbers else -numbers[0]
        return value.but(node=neg(value.node), count=count) if tensors else -value
    left, right = operands
    if not tensors:
        if isinstance(left, tuple | list) or isinstance(right, tuple | list):
            return left + right if symbol == "+" else left * right
        return _PLAIN[symbol](left, right)
    count = _PLAIN[symbol](*numbers) if None not in numbers and symbol in _PLAIN else None
    if symbol in _BINARY:
        found = elementwise(_BINARY[symbol], tensor(left), tensor(right))
        return found.but(count=count) if isinstance(count, int) else found
    if count is None:
        raise NoRuleError(f"no rule for {symbol}")
    return count


def _of_sizes(result: Any, tensors: bool) -> Any:
    """A plain number as it is computed with; `tensors`: it was computed from sizes."""
    return Value(nodes.num(+result), (), result) if type(result) is bool and tensors else result


def elementwise(compute: Callable[..., Node], *values: Value) -> Value:
    """A function of the elements of values that broadcast together. Raises UnequalError."""
    return Value(compute(*(value.node for value in values)), broadcast(*(v.sides for v in values)))


def broadcast(*shapes: Sides) -> Sides:
    """The sides of tensors that broadcast together, which are merged."""
    sides: list[Dim | None] = [None] * max(map(len, shapes))
    for shape in shapes:
        for place, dim in enumerate(shape, len(sides) - len(shape)):
            known = sides[place]
            sides[place] = known if dim is None else dim.root if known is None else known.merge(dim)
    return tuple(sides)


Axis: TypeAlias = tuple[int | None, Dim | None]
"""A side of a tensor, and its index in the elements, of which a side of size 1 needs none."""


def unpacked(value: Value) -> tuple[Node, list[tuple[int, Dim | None]]]:
    """The elements of a value with a new index for each side, and its axes with these."""
    axes = [(nodes.fresh(), side) for side in value.sides]
    last = len(axes) - 1
    return rename(value.node, {last - i: index for i, (index, _) in enumerate(axes)}), axes


def packed(node: Node, axes: Sequence[Axis]) -> Value:
    """The value that has these axes in `node`."""
    last = len(axes) - 1
    names = {index: last - i for i, (index, _) in enumerate(axes) if index is not None}
    return Value(rename(node, names), tuple(side for _, side in axes))


@lru_cache(maxsize=500)
def _formula(text: str, names: tuple[str, ...]) -> Expression:
    return expression.parse(Source(text), names)


def formula(text: str, names: Mapping[str, Any]) -> Value:
    """A formula of the catalogue, of these values."""
    return walk(_formula(text, tuple(names)), names, named=False).value


def input_value(name: str, shape: Sequence[int], single: Collection[int] = ()) -> Value:
    """An input of this shape; its sides in `single` are of size 1, and broadcast."""
    sides = tuple(
        None if axis in single else Dim(length, places=[(name, axis, len(shape))])
        for axis, length in enumerate(shape)
    )
    value = Value(ZERO, sides)
    return value.but(node=value.element(name))


def size_of(dim: Dim | None) -> int:
    """The given size of a side."""
    return 1 if dim is None else dim.root.size


def length(dim: Dim | None) -> Value:
    """The size of a side as a plain number."""
    if dim is None:
        return Value(ONE, (), 1)
    return Value(size(dim), (), dim.root.size)
