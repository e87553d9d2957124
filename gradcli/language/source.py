"""A piece of text that the user gave, places in it, and the one caret that points at them."""

import unicodedata
from dataclasses import dataclass
from typing import NamedTuple

from gradcli.errors import printable

QUOTED = 80
"""Characters of the user's text that an error shows around a place."""
VALUE = 200
"""Characters of a JSON value that errors may quote from."""


def quoted(text: str) -> str:
    """As much of the user's text as an error quotes."""
    return text if len(text) <= QUOTED else f"{text[: QUOTED - 3]}..."


def _width(text: str) -> int:
    """The terminal columns that `text` takes: East Asian wide characters take two, combining ones
    none.
    """
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )


def _shown(text: str) -> str:
    """`text` as an error quotes it: every kind of blank is a blank, and whatever else cannot be
    seen is escaped.
    """
    if text.isprintable():
        return text
    return printable(
        "".join(
            " " if char == "\t" or unicodedata.category(char) == "Zs" else char for char in text
        )
    )


@dataclass(frozen=True)
class Source:
    """One text as the user gave it; `label` is what the user calls it (`--x`, `EXPR`, `standard
    input`).
    """

    text: str
    label: str = ""

    def span(self, start: int, stop: int | None = None) -> "Span":
        """The characters from `start` up to `stop` (one character unless given)."""
        return Span(self, start, start + 1 if stop is None else max(stop, start + 1))


class ValueSource(Source):
    """A value that came as JSON, as a text; it is only written where an error quotes it."""

    def __init__(self, value: object, label: str) -> None:
        self.__dict__["value"], self.__dict__["label"] = value, label  # past `frozen`

    @property
    def text(self) -> str:
        """The beginning of the value as Python writes it."""
        try:
            return str(self.__dict__["value"])[:VALUE]
        except RecursionError:
            return "a list that nests too deep"


class Span(NamedTuple):
    """A place in a source: the characters `start` up to `stop`, which may be just after the last
    one.
    """

    source: Source
    start: int
    stop: int

    @property
    def label(self) -> str:
        """What the user calls the text that this is a place in; with the line where it has
        several.
        """
        label, text = self.source.label, self.source.text
        if not label or "\n" not in text.strip():
            return label
        line = text.count("\n", 0, self.start) + 1
        return f"{label}, line {line}"

    @property
    def text(self) -> str:
        """The characters of the place itself."""
        return self.source.text[self.start : self.stop]

    def draw(self) -> list[str]:
        """At most 80 characters of the line around the place, and carets under the place."""
        text = self.source.text
        first = text.rfind("\n", 0, self.start) + 1
        last = text.find("\n", self.start)
        last = len(text) if last < 0 else last
        begin = max(first, min(self.start - QUOTED // 2, last - QUOTED))
        end = min(last, begin + QUOTED)
        before = "..." if begin > first else ""
        after = "..." if end < last else ""
        shown = before + _shown(text[begin:end]) + after
        indent = len(before) + _width(_shown(text[begin : self.start]))
        carets = _width(_shown(text[self.start : min(self.stop, end)]))
        return [shown, " " * indent + "^" * max(1, carets)]
