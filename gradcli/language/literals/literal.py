"""Tensor literals: what a user may write for a tensor, read into plain numbers or into where they
come from.

`parse` reads a word of the command line, `parse_stream` what came from standard input or stands in
a text file, and `from_json` what JSON holds. The grammar of the texts is in
`gradcli.language.literals.literal_grammar`.
"""

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import cast

from gradcli.errors import GradcliError, LiteralError
from gradcli.language.file_names import FromFile, is_named, parse_path
from gradcli.language.limits import LITERAL_DEPTH, LITERAL_TEXT
from gradcli.language.literals.constructors import Made, Shape
from gradcli.language.literals.literal_grammar import INTEGERS, NOT_FINITE, Number, Parser, describe
from gradcli.language.source import Source, quoted


@dataclass(frozen=True)
class Numbers:
    """Numbers in row-major order and their shape; `dtype` is `float` (the job's), `bool`, `int64`
    or a kin of it.
    """

    values: Sequence[Number]
    shape: Shape
    dtype: str
    source: Source = field(compare=False)


@dataclass(frozen=True)
class FromStdin:
    """`-` or `@-`: the numbers come from standard input, for `parse_stream` to read."""

    source: Source = field(compare=False)


Literal = Numbers | Made | FromFile | FromStdin


def parse(source: Source) -> Literal:
    """The tensor that one word of the command line stands for; nothing is opened, read or
    allocated.

    Raises LiteralError, SizeError.
    """
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
        place = source.span(0, len(source.text))
        raise LiteralError(
            "a file needs @ before its name", span=place, hint=f"@{quoted(text)}"
        ) from None


def parse_stream(source: Source) -> Numbers | Made:
    """The tensor that a text of one or many lines stands for.

    Like a literal, but blanks may separate numbers: one line or one column is 1-D, a single number
    0-d, several lines of several numbers a matrix. Raises LiteralError, SizeError.
    """
    return _parse(source, source.text.strip(), lines=True)


_DIGITS = re.compile(r"[-+]?\s*([0-9]*)(?:\.([0-9]*))?(?:[eE]([-+]?[0-9]+))?", re.ASCII)


def half_units(literal: Numbers, *, lines: bool = False) -> list[float]:
    """Half a unit of the last digit that each number is written with; 0 of a zero and of what is
    exact, such as `1/3`.
    """
    parser = Parser(literal.source, lines=lines)
    parser.literal()
    found = []
    for (start, stop), value in zip(parser.places, literal.values, strict=True):
        digits = _DIGITS.fullmatch(literal.source.text[start:stop].strip())
        exponent = int(digits[3] or 0) - len(digits[2] or "") if digits and value else None
        found.append(0.0 if exponent is None or not -400 < exponent < 300 else 0.5 * 10.0**exponent)
    return found


def from_json(value: object, source: Source) -> Numbers:
    """The tensor that a JSON value stands for: numbers, nested lists, the strings "NaN" "Infinity"
    "-Infinity", bools.

    Raises LiteralError where it holds anything else or its rows differ, SizeError where it nests
    too deep.
    """
    try:
        leaves, shape = _flatten(value)
        if len(shape) > LITERAL_DEPTH.value:
            place = source.span(0, len(source.text))
            LITERAL_DEPTH.check(len(shape), "the list", span=place, hint="remove some brackets")
        kinds = set(map(type, leaves))
        if kinds == {float}:
            return Numbers(cast("list[float]", leaves), shape, "float", source)
        if kinds == {bool}:
            return Numbers(cast("list[bool]", leaves), shape, "bool", source)
        return Numbers(list(map(_json_number, leaves)), shape, "float", source)
    except ValueError as error:
        message, hint = (*error.args, "all rows must have the same shape")[:2]
        raise LiteralError(message, span=source.span(0, len(source.text)), hint=hint) from None


def _flatten(value: object) -> tuple[list[object], Shape]:
    """The leaves of nested lists in row-major order, and their shape; ValueError where rows
    differ.
    """
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


_JSON_CURE = 'a list contains numbers, "NaN", "Infinity" and "-Infinity", or only true and false'


def _json_number(item: object) -> float:
    """A leaf of a JSON list as a float; ValueError where it is none."""
    if type(item) is float:
        return item
    if type(item) is int:
        return _finite(item)
    if isinstance(item, str) and item.lower() in NOT_FINITE:
        return NOT_FINITE[item.lower()]
    raise ValueError(f"expected a number, got {_JSON_NAMES.get(type(item), 'a list')}", _JSON_CURE)


_JSON_NAMES = {str: "a string", dict: "an object", type(None): "null", bool: "a bool"}


def _finite(number: str | int) -> float:
    """`number` as a float; ValueError where it is too large for one."""
    try:
        value = float(number)
    except OverflowError:
        value = math.inf
    if math.isinf(value):
        raise ValueError("the number is too large for 64 bits")
    return value


_DECODER = json.JSONDecoder(parse_float=_finite, parse_int=_finite)


def read_json(text: str, source: Source) -> Numbers:
    """The tensor that a JSON text stands for. Raises ValueError where it is no JSON, and what
    `from_json` raises.
    """
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
        pass  # the grammar reads more forms, and knows the place of what it cannot read
    result = Parser(source, lines=lines).literal()
    return result if isinstance(result, Made) else Numbers(*result, source)


# The short way. Python's own `json` and `float` read a million numbers in half a second, where the
# grammar takes five, and a single number, of which a batch has many, in half the time.

_WHOLE_DECODER = json.JSONDecoder(parse_float=_finite)
_BARE_POINT = re.compile(r"\.(?![0-9])")
_PRINTED = re.compile(r"(?:torch\.)?tensor\(([-+.0-9eE,\[\]\s]+)\)")
_PLAIN = re.compile(r"[-+.0-9eE,; \t\r\n]+")


def _plain(source: Source, text: str, *, lines: bool) -> Numbers:
    """What JSON, rows of numbers or `tensor(..)` stand for. Raises ValueError where the text is not
    as plain as that.
    """
    if text.startswith("["):
        return read_json(text, source)
    if not _PLAIN.fullmatch(text):
        return _printed(text, source)
    rows = (
        [row for row in text.split("\n") if row.strip()]
        if lines
        else text.replace("\n", ";").split(";")
    )
    if not lines or "," in text:
        cells = [row.split(",") for row in rows]
    elif len(rows[0].split()) == 1:
        cells = [
            rows
        ]  # float() refuses two numbers, so that a column need not be split line by line
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
    """What `tensor(..)` holds, where whole numbers stay integers."""
    printed = _PRINTED.fullmatch(text)
    if not printed:
        raise ValueError
    leaves, shape = _flatten(_WHOLE_DECODER.decode(_BARE_POINT.sub(".0", printed[1])))
    whole = set(map(type, leaves)) == {int}
    values = cast("list[int]", leaves) if whole else list(map(_json_number, leaves))
    low, high = INTEGERS["int64"]
    if len(shape) > LITERAL_DEPTH.value or (
        whole and not low <= min(values) <= max(values) <= high
    ):
        raise ValueError
    return Numbers(values, shape, "int64" if whole else "float", source)
