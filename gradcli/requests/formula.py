"""An expression as it was given: the text itself, `@FILE`, or standard input."""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from gradcli.errors import FileError
from gradcli.requests.options import Kind, Paths
from gradcli.text.limits import EXPRESSION_TEXT
from gradcli.text.source import Source


@dataclass(frozen=True)
class Formula:
    """What the user gave where an expression belongs."""

    given: Source

    @cached_property
    def from_stdin(self) -> bool:
        """Whether the expression is to be read from standard input."""
        return self.given.text in ("-", "@-")

    @cached_property
    def typed(self) -> Source | None:
        """The expression where it stands among the words themselves."""
        return None if self.given.text.startswith("@") or self.from_stdin else self.given

    def load(self, read_stdin: Callable[[], str]) -> Source:
        """The expression itself.

        Raises FileError where the file cannot be read, and SizeError where it is too long for an expression.
        """
        if typed := self.typed:
            return typed
        if self.from_stdin:
            return Source(read_stdin(), "standard input")
        text = self.given.text
        path = os.path.expanduser(text[1:])
        place = self.given.span(0, len(text))
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):
                raise FileError(
                    "this is no regular file", place=place, cure="pipe the expression in: - is standard input"
                )
            with open(path, "rb") as file:
                content = file.read(4 * EXPRESSION_TEXT.value + 1)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "no file can have this name"
            raise FileError(
                f"the expression cannot be read: {reason.lower()}", place=place, cure="check the path"
            ) from None
        try:
            return Source(content.decode("utf-8-sig"), text[1:])
        except UnicodeDecodeError as error:
            raise FileError(f"the file is no UTF-8 text (byte {error.start})", place=place) from None


EXPRESSION = Kind("EXPR", Formula, paths=Paths("@"))
