"""A function's NAME with optional arguments: `sigmoid`, `leaky_relu(0.2)`, `kl(reduction=sum)`.

The arguments have Python's syntax, so Python's own parser reads them. Those of a literal's
constructors (`gradcli.language.literals`) are literals instead: products, sizes, numbers as NumPy
prints them. `gradcli.language.binding` binds both to parameters.
"""

import ast
import math
import re
import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

from gradcli.catalogue.functions import CATALOGUE, Activation, Loss, Parameter, Value
from gradcli.catalogue.operators import SPACES, in_space
from gradcli.errors import ExpressionError, LiteralError
from gradcli.language import limits
from gradcli.language.binding import bind
from gradcli.language.expressions.substitution import filled, spelled
from gradcli.language.literals import literal
from gradcli.language.source import Source, Span
from gradcli.language.suggest import did_you_mean

Family: TypeAlias = type[Activation] | type[Loss] | None
"""The functions that may be named: activations, losses, or both (None)."""

_Node: TypeAlias = ast.expr | ast.keyword
"""One argument, by position or with its keyword."""

_CONSTANTS = {"pi": math.pi, "inf": math.inf}

TENSOR_PARAMETERS = frozenset({"weight", "pos_weight"})
"""Parameters that PyTorch takes as tensors."""


@dataclass(frozen=True)
class Call:
    """A function of the catalogue with the given arguments; `text` is the call as typed."""

    text: str
    entry: Activation | Loss
    arguments: Mapping[str, Value] = field(default_factory=dict, hash=False)

    @property
    def bound(self) -> dict[str, Value]:
        """Every parameter with its argument or else its default, in PyTorch's order."""
        return {**self.entry.defaults, **self.arguments}

    def applied(self, *operands: str, **more: Value) -> str:
        """The call as an expression of `operands`, its own arguments and `more` of them by name."""
        name = self.text.partition("(")[0].rstrip()
        # PyTorch gives the parameters of `threshold` no defaults: beside one it needs the other.
        whole = self.arguments and self.entry.code and isinstance(self.entry, Activation)
        named = {**(self.bound if whole else self.arguments), **more}
        arguments = [f"{key}={_spelled(key, value)}" for key, value in named.items()]
        return f"{name}({', '.join([*operands, *arguments])})"

    @cached_property
    def of_product(self) -> str:
        """The call as an expression of x*w + b, and for a loss of y."""
        return self.applied("x*w + b", *(["y"] if isinstance(self.entry, Loss) else []))

    def reduction(self, default: str = "mean") -> str:
        """The reduction of a loss: its own fixed one, else that of its arguments, else `default`.

        A fixed one does not apply if `default` is `none`, which gives the elements.
        """
        assert isinstance(self.entry, Loss)
        fixed = "" if default == "none" else self.entry.reduction
        return fixed or str(self.arguments.get("reduction", default))

    def compared(self, reduction: str, pred: str = "pred", target: str = "target") -> str:
        """A loss as an expression with `reduction`; a fixed one can only be replaced by `none`."""
        assert isinstance(self.entry, Loss)
        if not self.entry.reduction:
            named: dict[str, Value] = {} if reduction == "mean" else {"reduction": reduction}
            return self.applied(pred, target, **named)
        if reduction != "none" or self.entry.mixes:
            return self.applied(pred, target)
        name = CATALOGUE[self.entry.torch.partition(".")[2]].name  # gradcli's shorter one
        code = self.entry.code.replace(self.entry.torch, name)
        return spelled(filled(code, {"pred": pred, "target": target, "reduction": repr(reduction)}))


def _spelled(name: str, value: Value) -> str:
    """An argument as written in an expression, where weights are tensors."""
    if name not in TENSOR_PARAMETERS or value is None:
        return repr(value)
    return f"tensor({_listed(value)!r})"


def _listed(value: Any) -> Any:
    return [*map(_listed, value)] if isinstance(value, tuple) else float(value)


def parse_call(source: Source, family: Family = None) -> Call:
    """Read a NAME of the `family` (None: of either), with its arguments in brackets, if any, and
    with or without the prefix that it has in an expression.

    Raises ExpressionError for an unknown name or parameter and for a value that the parameter does
    not take, SizeError for a text or a number over the bounds.
    """
    limits.CALL_TEXT.check(len(source.text), "the name of a function")
    text = source.text.strip()
    typed = text.partition("(")[0].rstrip()
    start = len(source.text) - len(source.text.lstrip())
    name = without_prefix(typed)
    entry = _find(name, family, source.span(start, start + len(typed)))
    text = name + text[len(typed) :]
    return Call(text, entry, {} if name == text else _arguments(source, entry))


def without_prefix(name: str) -> str:
    """A name of the catalogue without the prefix that it has in an expression, as in `F.relu`; any
    other name unchanged.
    """
    prefix, _, bare = name.rpartition(".")
    known = bare in CATALOGUE and prefix in SPACES and in_space(SPACES[prefix], bare)
    return bare if known else name


def _find(name: str, family: Family, place: Span) -> Activation | Loss:
    entry = CATALOGUE.get(name)
    if entry is None:
        raise _unknown(name, family, place)
    if family is None or isinstance(entry, family):
        return entry
    message, hint = f"{name} is an activation, not a loss", f"gradcli activate {name} --x T"
    if isinstance(entry, Loss):
        message = f"{name} is a loss, not an activation"
        hint = f"gradcli loss {name} --pred T --target T"
    raise ExpressionError(message, span=place, hint=hint)


def _unknown(name: str, family: Family, place: Span) -> ExpressionError:
    hint = "gradcli functions lists all names"
    if not name:
        return ExpressionError("the name of a function is missing", span=place, hint=hint)
    entries = CATALOGUE.items()
    known = [other for other, it in entries if family is None or isinstance(it, family)]
    hint = did_you_mean(name.rpartition(".")[2], known) or hint
    with suppress(ValueError):
        if all(math.isfinite(float(number)) for number in name.split(",")):
            hint = f"give numbers with their option: {'--pred' if family is Loss else '--x'} {name}"
    kind = family.__name__.lower() if family else "function"
    return ExpressionError(f"unknown {kind} {name[:80]!a}", span=place, hint=hint)


def _arguments(source: Source, entry: Activation | Loss) -> dict[str, Value]:
    """The arguments in brackets after the name, bound to the parameters of `entry`."""
    reader = _Reader(source, entry)
    call = reader.parse()
    positional: list[tuple[str, _Node]] = [("", node) for node in call.args]
    arguments = [*positional, *((keyword.arg or "**", keyword) for keyword in call.keywords)]
    known = {parameter.name: parameter for parameter in entry.parameters}
    bound = bind(entry.name, tuple(known), arguments, reader.error)
    return {name: reader.read(known[name], node) for name, node in bound}


class _Reader:
    """Reads the arguments of one call, and raises each error at its place in the source."""

    def __init__(self, source: Source, entry: Activation | Loss) -> None:
        self._source = source
        # One line with blanks for line breaks, so that an offset in it is an offset in the source.
        self._line = "".join(" " if char.isspace() else char for char in source.text)
        self._start = len(self._line) - len(self._line.lstrip())
        self._usage = f"write {entry.name}"
        if entry.parameters:
            named = ", ".join(f"{name}={default!r}" for name, default in entry.defaults.items())
            self._usage = f"its parameters: {entry.name}({named})"

    def parse(self) -> ast.Call:
        """The syntax tree of `NAME(...)`."""
        if foreign := re.search(r"[^\0-\x7f]", self._line):
            message, place = f"invalid character U+{ord(foreign[0]):04X}", foreign.start()
            raise ExpressionError(message, span=self._source.span(place), hint="use ASCII")
        unreadable = "cannot parse these arguments"
        try:
            with warnings.catch_warnings(action="ignore"):
                tree = ast.parse(self._line.lstrip(), mode="eval").body
        except SyntaxError as error:
            at = min((error.offset or 1) - 1, len(self._line.strip()) - 1)
            raise self._error(unreadable, at, at + 1) from None
        except (ValueError, OverflowError, RecursionError, MemoryError):
            raise self._error(unreadable, 0, len(self._line.strip())) from None
        name = self._line.partition("(")[0].strip()
        if not (isinstance(tree, ast.Call) and ast.unparse(tree.func) == name):
            message = "expected one function name with its arguments"
            raise self.error(message, tree, "for a formula: gradcli grad EXPR")
        return tree

    def read(self, parameter: Parameter, argument: _Node) -> Value:
        """The value of an argument, checked against what the parameter takes."""
        node = argument.value if isinstance(argument, ast.keyword) else argument
        value = self._value(_content(node) if parameter.name in TENSOR_PARAMETERS else node)
        expected, types = _ACCEPTED[type(parameter.default)]
        if parameter.choices:
            expected = " or ".join(str(choice) for choice in parameter.choices)
        if type(value) not in types or (parameter.choices and value not in parameter.choices):
            raise self.error(f"{parameter.name} must be {expected}", node)
        return value

    def error(self, message: str, node: _Node, hint: str = "") -> ExpressionError:
        """An error at `node`; its hint is the list of parameters unless given."""
        return self._error(message, node.col_offset, node.end_col_offset or node.col_offset, hint)

    def _error(self, message: str, start: int, stop: int, hint: str = "") -> ExpressionError:
        place = self._source.span(self._start + start, self._start + stop)
        return ExpressionError(message, span=place, hint=hint or self._usage)

    def _value(self, node: ast.expr) -> Value:
        match node:
            case ast.Name(id=name) if name not in _CONSTANTS:
                return name
            case ast.Constant(value=bool() | str() | None as value):
                return value
            case _:
                return self._rows(node)

    def _rows(self, node: ast.expr) -> Value:
        """A number, or the rows or numbers of a list, all of one shape."""
        if not isinstance(node, ast.List | ast.Tuple):
            return self._number(node)
        rows = tuple(map(self._rows, node.elts))
        if len(set(map(_shape, rows))) > 1:
            raise self.error("all rows must have the same shape", node)
        limits.LITERAL_DEPTH.check(len(_shape(rows)), "this list")
        return rows

    def _number(self, node: ast.expr) -> float:
        inner, sign = node, 1
        while isinstance(inner, ast.UnaryOp) and isinstance(inner.op, ast.USub | ast.UAdd):
            sign = -sign if isinstance(inner.op, ast.USub) else sign
            inner = inner.operand
        match inner:
            case ast.Constant(value=float() as value):
                if math.isinf(value):
                    raise self.error("this number is too large", node)
                return sign * value
            case ast.Constant(value=int() as value) if not isinstance(value, bool):
                limits.PLAIN_INTEGER.check(value, "this whole number")
                return sign * value
            case ast.Name(id=name) if name in _CONSTANTS:
                return sign * _CONSTANTS[name]
            case ast.BinOp(op=ast.Mult() | ast.Div()):
                return sign * self._product(inner)
            case _:
                raise self.error("expected a number", node)

    def _product(self, node: ast.expr) -> float:
        """A number such as `1/3` or `2*pi`, which is read as a literal is."""
        text = self._line.lstrip()[node.col_offset : node.end_col_offset]
        try:
            numbers = literal.parse(Source(text))
        except LiteralError as error:
            raise self.error(error.message, node) from None
        assert isinstance(numbers, literal.Numbers)
        return numbers.values[0]


def _shape(value: Value) -> tuple[int, ...]:
    return (len(value), *_shape(value[0] if value else 0)) if isinstance(value, tuple) else ()


def _content(node: ast.expr) -> ast.expr:
    """The numbers in `tensor(..)`, as PyTorch has them; any other argument is itself."""
    match node:
        case ast.Call(args=[content], keywords=[]):
            return content if ast.unparse(node.func) in ("tensor", "torch.tensor") else node
    return node


_ACCEPTED: dict[type, tuple[str, tuple[type, ...]]] = {
    bool: ("True or False", (bool,)),
    int: ("a whole number", (int,)),
    float: ("a number", (int, float)),
    str: ("a word", (str,)),
    type(None): ("a number or a list such as [1, 2, 3]", (int, float, tuple, type(None))),
}
"""What a parameter takes, by the type of its default: in words, and as types."""
