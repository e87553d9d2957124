"""An expression as it was given: the text itself, `@FILE`, or standard input."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter

from gradcli.errors import FileError, system_reason
from gradcli.language import file_names
from gradcli.language.file_names import FromFile
from gradcli.language.limits import EXPRESSION_TEXT
from gradcli.language.literals.literal import FromStdin
from gradcli.language.source import Source
from gradcli.options.fields import Paths, ValueKind


@dataclass(frozen=True)
class GivenExpression:
    """What the user gave for an expression."""

    given: Source

    @cached_property
    def outside(self) -> FromFile | FromStdin | None:
        """The file or stream that holds the expression; None if the text itself is it."""
        text = self.given.text
        if text in ("-", "@-"):
            return FromStdin(self.given)
        if not text.startswith("@"):
            return None
        return FromFile(os.path.expanduser(text[1:]), "", "", self.given)

    @property
    def typed(self) -> Source | None:
        """The expression, unless it is in a file or on standard input."""
        return None if self.outside else self.given

    def load(self, read_stdin: Callable[[], str]) -> Source:
        """The expression itself. Raises FileError if its file cannot be read or is not UTF-8."""
        if (file := self.outside) is None:
            return self.given
        if isinstance(file, FromStdin):
            return Source(read_stdin(), "standard input")
        file_names.check_file(file)
        try:
            with open(file.path, "rb") as opened:
                content = opened.read(4 * EXPRESSION_TEXT.value + 1)
        except OSError as error:
            message = f"the expression cannot be read: {system_reason(error)}"
            raise FileError(message, span=file.span, hint="check the path") from None
        try:
            return Source(content.decode("utf-8-sig"), self.given.text[1:])
        except UnicodeDecodeError as error:
            message = f"the file is not UTF-8 text (byte {error.start})"
            raise FileError(message, span=file.span) from None


EXPRESSION = ValueKind("EXPR", GivenExpression, paths=Paths("@"), outside=attrgetter("outside"))
