"""One argument of an optimiser, `momentum=0.9`: a number, true or false, none, a tuple, or text."""

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from gradcli.errors import GradcliError, UsageError
from gradcli.language import assignment
from gradcli.language.literals import literal
from gradcli.language.source import Source, Span
from gradcli.options.fields import ValueKind, wrong

Value: TypeAlias = bool | int | float | str | tuple["Value", ...] | None

_WHOLE = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
_WORDS: Mapping[str, bool | None] = {"true": True, "false": False, "none": None, "null": None}


@dataclass(frozen=True)
class Setting:
    """An argument and its value."""

    name: str
    value: Value


def read(source: Source) -> Setting:
    """`NAME=VALUE` as an argument.

    Raises UsageError with the place of what cannot be read.
    """
    pair, length = assignment.split(source, ascii_only=True), len(source.text)
    if pair is None:
        hint = "for example --set momentum=0.9"
        raise UsageError("expected NAME=VALUE", span=source.whole, hint=hint)
    name, value = pair
    start = length - len(value.text.lstrip(string.whitespace))
    return Setting(name, _value(source.span(start, length)))


def _value(place: Span) -> Value:
    bare = place.text.strip()
    if bare[:1] in ("(", "[") and bare[-1:] in (")", "]"):
        bare = bare[1:-1]
    elif "," not in bare:
        return _single(bare, place)
    return tuple(_single(part.strip(), place) for part in bare.removesuffix(",").split(","))


def _single(text: str, place: Span) -> Value:
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _WHOLE.fullmatch(text):
        return int(text)
    try:
        number = literal.parse(Source(text, place.source.label))
    except GradcliError:
        if text.isascii() and text.isidentifier():
            return text
        number = None
    if isinstance(number, literal.Numbers) and number.shape == () and number.dtype == "float":
        return float(number.values[0])
    raise UsageError(
        "expected a number, true, false, none, a tuple or a word",
        span=place,
        hint="such as momentum=0.9, nesterov=true, betas=0.9,0.99, line_search_fn=strong_wolfe",
    )


def accept(value: Any, key: str) -> tuple[Setting, ...]:
    """A JSON object of arguments: numbers, bools, null, text, lists of them as tuples."""
    if not isinstance(value, dict):
        raise wrong(key, value, 'an object of arguments, such as {"momentum": 0.9}')
    return tuple(Setting(name, _from_json(item, f"{key} {name}")) for name, item in value.items())


def _from_json(value: Any, key: str) -> Value:
    parts = value if isinstance(value, list) else [value]
    if any(isinstance(part, dict | list) for part in parts):
        raise wrong(key, value, "a number, true, false, null, a string or a list of these")
    values = tuple(
        _value(Source(part, key).whole) if isinstance(part, str) else part for part in parts
    )
    return values if isinstance(value, list) else values[0]


SETTING = ValueKind(
    "NAME=VALUE", read, accept=accept, python="Mapping[str, Any] | str | Sequence[str]"
)
