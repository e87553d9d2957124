"""Operators between tensors or numbers, bounded, with errors for the usual slips."""

import operator
from collections.abc import Callable, Mapping
from itertools import chain
from typing import Any, TypeAlias, cast

from torch import Tensor

from gradcli.errors import ExpressionError, MathError, SizeError
from gradcli.evaluate import growth
from gradcli.evaluate.failures import kind
from gradcli.language.expressions.program import COMPARISONS, Step, logic
from gradcli.language.limits import ELEMENTS, RESULTS

Compute: TypeAlias = Callable[..., Any]
"""The operation of one step, from the values that it takes to the one that it leaves."""

TOO_LONG = "a whole number has at most 64 bits"

_NUMBER = (int, float, complex)

_BINARY: Mapping[str, Compute] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "//": operator.floordiv,
    "%": operator.mod, "**": operator.pow, "@": operator.matmul, "&": operator.and_, "|": operator.or_,
    "^": operator.xor, "<<": operator.lshift, ">>": operator.rshift,
}  # fmt: skip
_UNARY: Mapping[str, Compute] = {"-": operator.neg, "+": operator.pos, "~": operator.invert}
_BITWISE = {"and": "&", "or": "|", "not": "~"}


def operation(step: Step) -> Compute:
    """The operation of an `operator` step."""
    symbol = step.name
    if symbol in _BITWISE:
        return lambda *values: _logic(symbol, values)
    if step.take == 1:
        return lambda value: _unary(symbol, value)
    compute = _BINARY[symbol]
    check = growth.checker("matmul" if symbol == "@" else symbol)

    def binary(left: Any, right: Any) -> Any:
        if isinstance(left, Tensor):
            if isinstance(right, Tensor):
                # No operator makes more elements than the product of both.
                if not 0 < left.numel() * right.numel() <= ELEMENTS.value:
                    check((left, right), {})
            elif not isinstance(right, _NUMBER):
                return _plain(symbol, left, right)
        elif not isinstance(right, Tensor) or not isinstance(left, _NUMBER):
            return _plain(symbol, left, right)
        if symbol == "//" and any(getattr(each, "requires_grad", False) for each in (left, right)):
            # PyTorch records it, and would fail only in the backward pass.
            hint = "write / for the quotient, or floor(a / b), whose derivative is 0"
            raise MathError("// rounds down, and PyTorch has no derivative for it", hint=hint)
        return compute(left, right)

    return binary


def _plain(symbol: str, left: Any, right: Any) -> Any:
    """An operator between numbers, or on tuples, such as `x.shape[:1] + (2,)`."""
    if isinstance(left, _NUMBER) and isinstance(right, _NUMBER):
        return _arithmetic(symbol, left, right)
    if symbol == "+" and isinstance(left, tuple | list) and isinstance(right, tuple | list):
        return (*left, *right)
    if symbol == "*" and isinstance(left, tuple | list) and type(right) is int:
        RESULTS.check(len(left) * right, "too many values")
        return left * right
    message = f"{symbol} is not defined between {kind(left)} and {kind(right)}"
    hint = "make one tensor first: of numbers tensor([1., 2.]), of tensors stack([a, b])"
    raise ExpressionError(message, hint=hint)


def _arithmetic(symbol: str, left: Any, right: Any) -> Any:
    """Python's operator between two plain numbers."""
    if symbol == "^":
        raise ExpressionError("^ is not a power", hint="write **")
    if isinstance(left, int) and isinstance(right, int):
        bits = {"**": left.bit_length() * right if abs(left) > 1 else 0, "<<": right}.get(symbol, 0)
        if bits > 128:  # a few bits too many are computed, and then counted exactly
            raise SizeError(TOO_LONG, hint="write a float, such as 2.0**100")
    try:
        return _BINARY[symbol](left, right)
    except ZeroDivisionError:
        hint = "in tensors it gives inf: tensor(1.)/0"
        raise ExpressionError("division by zero", hint=hint) from None
    except OverflowError:
        raise ExpressionError("the number is too large for a float") from None


def _unary(symbol: str, value: Any) -> Any:
    if isinstance(value, Tensor | int | float | complex):
        return _UNARY[symbol](value)
    message = f"{symbol} is not defined for {kind(value)}"
    raise ExpressionError(message, hint="use a tensor or a number; brackets that group are round")


def _logic(symbol: str, values: tuple[Any, ...]) -> Any:
    if any(isinstance(value, Tensor) for value in values):
        message = f"'{symbol}' needs a single true/false value, got a tensor"
        hint = f"write {_BITWISE[symbol]} with brackets around each comparison: (x > 0) & (y > 0), ~(x > 0)"
        raise ExpressionError(message, hint=hint)
    return logic(symbol, values, values)


def comparison(step: Step) -> Compute:
    """The operation of a `compare` step: a chain of comparisons, as in Python."""
    check = growth.checker(step.name)
    comparisons = [COMPARISONS[symbol] for symbol in cast(tuple[str, ...], step.value)]

    def compare(*values: Any) -> Any:
        if len(comparisons) > 1 and any(isinstance(value, Tensor) for value in values):
            message = "a chain of comparisons needs single true/false values, got a tensor"
            raise ExpressionError(message, hint="write (a < x) & (x < b), with the brackets")
        sequences = (value for value in values if isinstance(value, tuple | list))
        if any(isinstance(item, tuple | list) for item in chain.from_iterable(sequences)):
            message = "nested sequences cannot be compared"
            raise ExpressionError(message, hint="compare shapes or numbers")
        check(values, {})
        results = list(map(operator.call, comparisons, values, values[1:]))
        return results[0] if len(results) == 1 else all(results)

    return compare
