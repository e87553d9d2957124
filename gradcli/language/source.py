"""A text that the user gave, places in it, and the caret that points at them."""

import unicodedata
from dataclasses import dataclass
from typing import Any, NamedTuple

from gradcli.errors import QUOTED, printable

VALUE = 200
"""Characters of a JSON value that errors may quote from."""


def columns(text: str) -> int:
    """The columns of `text`: two for an East Asian wide character, none for a combining one."""
    plain = [char for char in text if not unicodedata.combining(char)]
    return len(plain) + sum(unicodedata.east_asian_width(char) in "WF" for char in plain)


def on_screen(text: str) -> str:
    """`text` as it is quoted: every blank is a space, other invisible characters escaped."""
    if text.isprintable():
        return text
    spaced = (" " if char == "\t" or unicodedata.category(char) == "Zs" else char for char in text)
    return printable("".join(spaced))


@dataclass(frozen=True)
class Source:
    """One text as the user gave it; `label` is its name (`--x`, `EXPR`, `standard input`). `code` is
    what is parsed in its place, character by character, if that is another text.
    """

    text: str
    label: str = ""
    code: str = ""

    @property
    def whole(self) -> "Span":
        """The place of all of the text."""
        return self.span(0, len(self.text))

    def span(self, start: int, stop: int | None = None) -> "Span":
        """The characters from `start` up to `stop` (one character unless given)."""
        return Span(self, start, start + 1 if stop is None else max(stop, start + 1))

    def rest(self, place: "Span", label: str) -> "Source":
        """What is at a place after NAME=, as a source of its own."""
        return Source(place.text, label)


class ValueSource(Source):
    """A value of JSON or of Python as a text, which is only made when an error quotes it."""

    given: Any

    def __init__(self, value: object, label: str) -> None:
        self.__dict__["given"], self.__dict__["label"] = value, label  # past `frozen`

    @property
    def text(self) -> str:
        """The beginning of the value as Python writes it."""
        try:
            return str(self.given)[:VALUE]
        except RecursionError:
            return "a list that nests too deep"


class NamedValue(Source):
    """The word NAME=T of an input whose value is not a text; `text` shows the name alone."""

    given: Any

    def __init__(self, name: str, value: object) -> None:
        super().__init__(f"{name}=...")
        self.__dict__["given"] = value  # past `frozen`

    def rest(self, place: "Span", label: str) -> Source:
        """The value."""
        return ValueSource(self.__dict__["given"], label)


class Span(NamedTuple):
    """The characters of a source from `start` up to `stop`; it may be just after the text."""

    source: Source
    start: int
    stop: int

    @property
    def label(self) -> str:
        """The name of the text, with the line if it has several."""
        label, text = self.source.label, self.source.text
        if not label or "\n" not in text.rstrip():
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
        shown = before + on_screen(text[begin:end]) + after
        indent = len(before) + columns(on_screen(text[begin : self.start]))
        carets = columns(on_screen(text[self.start : min(self.stop, end)]))
        return [shown, " " * indent + "^" * max(1, carets)]
