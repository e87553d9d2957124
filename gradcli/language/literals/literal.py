"""Tensor literals: what a user writes for a tensor, read into numbers or into their source.

`parse` reads a word of the command line, `parse_stream` the text of standard input or of a file,
and `from_json` a JSON value. The grammar is in `gradcli.language.literals.literal_grammar`.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, cast

from gradcli.errors import GradcliError, LiteralError, quoted
from gradcli.language.file_names import FromFile, is_named, parse_path
from gradcli.language.limits import LITERAL_DEPTH, LITERAL_TEXT
from gradcli.language.literals.constructors import Made, Shape
from gradcli.language.literals.literal_grammar import INTEGERS, NOT_FINITE, Number, Parser, describe
from gradcli.language.source import Source, Span, ValueSource


@dataclass(frozen=True)
class Numbers:
    """Numbers in row-major order and their shape; `dtype` is `float`, `bool` or an integer type."""

    values: Sequence[Number]
    shape: Shape
    dtype: str
    source: Source = field(compare=False)


@dataclass(frozen=True)
class FromStdin:
    """`-` or `@-`: the numbers are on standard input, for `parse_stream` to read."""

    source: Source = field(compare=False)


@dataclass(frozen=True)
class Held:
    """An array or a tensor that a caller of a Python function has; it is never changed."""

    value: Any
    source: Source = field(compare=False)

    @property
    def span(self) -> Span:
        """The value, as errors quote it."""
        return self.source.whole


Literal = Numbers | Made | FromFile | FromStdin | Held


def parse(source: Source) -> Literal:
    """The tensor in one word of the command line; nothing is opened, read or allocated.

    Raises LiteralError, SizeError.
    """
    if isinstance(source, ValueSource):
        return from_value(source.given, source)
    text = source.text.strip()
    if text in ("-", "@-"):
        return FromStdin(source)
    if text.startswith("@"):
        return parse_path(source)
    try:
        return _parse(source, text, lines=False)
    except LiteralError:
        if not is_named(text):
            raise
        message, hint = "a file needs @ before its name", f"@{quoted(text)}"
        before, at, name = text.partition("@")
        if at and before.rstrip().endswith(("-", "+", "*")):
            message = "a file must be the whole literal"
            hint = f"write @{quoted(name)}, and compute with it in the expression"
        raise LiteralError(message, span=source.whole, hint=hint) from None


def parse_stream(source: Source) -> Numbers | Made:
    """The tensor in a text of one or many lines.

    Like a literal, but blanks may separate numbers: one line or one column is 1-D, a single number
    0-d, several lines of several numbers a matrix. Raises LiteralError, SizeError.
    """
    return _parse(source, source.text.strip(), lines=True)


_DIGITS = re.compile(r"[-+]?\s*([0-9]*)(?:\.([0-9]*))?(?:[eE]([-+]?[0-9]+))?", re.ASCII)


def half_units(literal: Numbers, *, lines: bool = False) -> list[float]:
    """Half a unit of the last digit of each number as written; 0 for a zero and for `1/3`."""
    parser = Parser(literal.source, lines=lines)
    parser.literal()
    units = []
    for (start, stop), value in zip(parser.places, literal.values, strict=True):
        digits = _DIGITS.fullmatch(literal.source.text[start:stop].strip())
        exponent = int(digits[3] or 0) - len(digits[2] or "") if digits and value else None
        units.append(0.0 if exponent is None or not -400 < exponent < 300 else 0.5 * 10.0**exponent)
    return units


def from_value(value: object, source: Source) -> Numbers | Held:
    """The tensor in a value: an array or a tensor is itself, anything else as `from_json`."""
    return Held(value, source) if hasattr(value, "__array__") else from_json(value, source)


def from_json(value: object, source: Source) -> Numbers:
    """The tensor in a JSON value: nested lists of bools or of numbers, "NaN", "Infinity".

    Raises LiteralError for anything else and for rows that differ, SizeError if it nests too deep.
    """
    try:
        leaves, shape = _flatten(value)
        if len(shape) > LITERAL_DEPTH.value:
            hint = "remove some brackets"
            LITERAL_DEPTH.check(len(shape), "the list", span=source.whole, hint=hint)
        kinds = set(map(type, leaves))
        if kinds == {float}:
            return Numbers(cast("list[float]", leaves), shape, "float", source)
        if kinds == {bool}:
            return Numbers(cast("list[bool]", leaves), shape, "bool", source)
        return Numbers(list(map(_json_number, leaves)), shape, "float", source)
    except ValueError as error:
        message, hint = (*error.args, "all rows must have the same shape")[:2]
        raise LiteralError(message, span=source.whole, hint=hint) from None


_NUMBER_TYPES = frozenset({float, int})
"""The types of JSON numbers; `bool` is another."""


def plain_shape(value: Any) -> Shape | None:
    """The shape of a JSON number, of a list of numbers, or of lists of equally many numbers.

    `torch.tensor` makes of such a value what `from_json` reads in it. None for any other value.
    """
    if type(value) in _NUMBER_TYPES:
        return ()
    if type(value) is not list:
        return None
    kinds = set(map(type, value))
    if kinds <= _NUMBER_TYPES:
        return (len(value),)
    widths = set(map(len, value)) if kinds == {list} else ()
    if len(widths) == 1 and _NUMBER_TYPES.issuperset(map(type, chain.from_iterable(value))):
        return (len(value), *widths)
    return None


def _flatten(value: object) -> tuple[list[object], Shape]:
    """The leaves of nested lists in row-major order, and their shape. Raises ValueError."""
    if not isinstance(value, list):
        return [value], ()
    shape: list[int] = []
    level: list[object] = [value]
    while level and isinstance(level[0], list):
        width = len(level[0])
        for row, item in enumerate(level, 1):
            if not isinstance(item, list) or len(item) != width:
                held = (len(item),) if isinstance(item, list) else ()
                raise ValueError(f"{describe(row, held)}, but {describe(1, (width,))}")
        shape.append(width)
        level = list(chain.from_iterable(cast("list[list[object]]", level)))
    return level, tuple(shape)


_JSON_HINT = 'a list contains numbers, "NaN", "Infinity" and "-Infinity", or only true and false'


def _json_number(item: object) -> float:
    """A leaf of a JSON list as a float. Raises ValueError if it is not a number."""
    if type(item) is float:
        return item
    if type(item) is int:
        return _finite(item)
    if isinstance(item, str) and item.lower() in NOT_FINITE:
        return NOT_FINITE[item.lower()]
    name = _JSON_NAMES.get(type(item), type(item).__name__)
    raise ValueError(f"expected a number, got {name}", _JSON_HINT)


_JSON_NAMES = {
    str: "a string", dict: "an object", type(None): "null", bool: "a bool", list: "a list",
}  # fmt: skip


def _finite(number: str | int) -> float:
    """`number` as a float. Raises ValueError if it is too large for one."""
    try:
        value = float(number)
    except OverflowError:
        value = math.inf
    if math.isinf(value):
        raise ValueError(
            "the number is too large for 64 bits", 'write "inf" for an infinite number'
        )
    return value


_DECODER = json.JSONDecoder(parse_float=_finite, parse_int=_finite)


def read_json(text: str, source: Source) -> Numbers:
    """The tensor in a JSON text. Raises ValueError if it is not JSON; see also `from_json`."""
    try:
        return from_json(_DECODER.decode(text), source)
    except RecursionError:  # Python's own bound is far above ours
        depth = text.count("[") + text.count("{")
        LITERAL_DEPTH.check(depth, "the list", span=source.span(0), hint="remove some brackets")
        raise


def _parse(source: Source, text: str, *, lines: bool) -> Numbers | Made:
    LITERAL_TEXT.check(len(text), "the literal", span=source.span(0))
    try:
        return _plain(source, text, lines=lines)
    except (ValueError, GradcliError, RecursionError):
        pass  # the grammar reads more forms, and its errors have a place
    result = Parser(source, lines=lines).literal()
    return result if isinstance(result, Made) else Numbers(*result, source)


# The fast path. Python's own `json` and `float` read a million numbers in half a second, the grammar
# in five, and they read a single number, the usual literal of a batch, in half the time.

_WHOLE_DECODER = json.JSONDecoder(parse_float=_finite)
_BARE_POINT = re.compile(r"\.(?![0-9])")
_PRINTED = re.compile(r"(?:torch\.)?tensor\(([-+.0-9eE,\[\]\s]+)\)")
_PLAIN = re.compile(r"[-+.0-9eE,; \t\r\n]+")


def _plain(source: Source, text: str, *, lines: bool) -> Numbers:
    """The numbers in JSON, in plain rows or in `tensor(..)`. Raises ValueError for other text."""
    if text.startswith("["):
        return read_json(text, source)
    if not _PLAIN.fullmatch(text):
        return _printed(text, source)
    rows = text.replace("\n", ";").split(";")
    if lines:
        rows = [row for row in text.split("\n") if row.strip()]
    if not lines or "," in text:
        cells = [row.split(",") for row in rows]
    elif len(rows[0].split()) == 1:
        cells = [rows]  # a column; float() refuses a row of two numbers
    else:
        cells = [row.split() for row in rows]
    values = list(map(float, chain.from_iterable(cells)))
    if len(set(map(len, cells))) != 1 or math.inf in values or -math.inf in values:
        raise ValueError
    shape: Shape = (len(cells), len(cells[0]))
    if shape[0] == 1 or (lines and shape[1] == 1):
        shape = (len(values),) if len(values) > 1 else ()
    return Numbers(values, shape, "float", source)


def _printed(text: str, source: Source) -> Numbers:
    """The numbers in `tensor(..)`, where whole numbers stay integers. Raises ValueError."""
    printed = _PRINTED.fullmatch(text)
    if not printed:
        raise ValueError
    leaves, shape = _flatten(_WHOLE_DECODER.decode(_BARE_POINT.sub(".0", printed[1])))
    whole = set(map(type, leaves)) == {int}
    values = cast("list[int]", leaves) if whole else list(map(_json_number, leaves))
    low, high = INTEGERS["int64"]
    too_large = whole and not low <= min(values) <= max(values) <= high
    if too_large or len(shape) > LITERAL_DEPTH.value:
        raise ValueError
    return Numbers(values, shape, "int64" if whole else "float", source)
