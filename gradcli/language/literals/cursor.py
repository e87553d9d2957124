"""Where the reading of a literal stands, and the errors for a word that does not belong there."""

import re

from gradcli.errors import LiteralError
from gradcli.language.literals.tokens import FORMS, Token, tokens
from gradcli.language.source import Source

STARTS = ("number", "name", "call", "string")
"""The kinds of the words, besides brackets and signs, that begin an item."""

EXPRESSION = "give each tensor as a separate input; arithmetic belongs in the expression"
_SUM = ("a literal cannot contain a sum", "put a comma between two numbers: 1, -2; sums belong in the expression")
STRAYS = {
    "+": _SUM,
    "-": _SUM,
    "*": ("a literal cannot contain arithmetic on lists", EXPRESSION),
    "/": ("a literal cannot contain arithmetic on lists", EXPRESSION),
    ",": ("a literal cannot contain arithmetic on lists", EXPRESSION),
    ";": ("; separates rows only outside brackets", "write 1,2;3,4 or [[1,2],[3,4]]"),
    "=": ("= is allowed only after an argument's name", FORMS),
}
"""What is wrong, and what to do, where one of these signs follows an item."""


class Cursor:
    """The words of a source one after another: `token` is the current one, `stop` the end of the one before."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.words = tokens(source)
        self.stop = 0
        self.token = next(self.words)

    def advance(self) -> Token:
        """Go to the next word and return the one just left; the last one stays."""
        token, self.stop = self.token, self.token.stop
        self.token = next(self.words, token)
        return token

    def at(self, *signs: str) -> bool:
        """Whether the current word is one of these signs; the end is the empty one."""
        return self.token.text in signs

    def skip_lines(self) -> None:
        """Leave line breaks behind."""
        while self.at("\n"):
            self.advance()

    def expect(self, sign: str) -> None:
        """Leave `sign` behind, which must follow here."""
        if not self.at(sign):
            raise self.stray()
        self.advance()

    def error(self, message: str, cure: str, token: Token | None = None, *, start: int | None = None) -> LiteralError:
        """The error at `token` (unless given, the current one), or from `start` up to the word before the current."""
        token = token or self.token
        place = self.source.span(token.start, token.stop) if start is None else self.source.span(start, self.stop)
        return LiteralError(message, place=place, cure=cure)

    def missing(self) -> LiteralError:
        """The error where a number is expected and something else stands."""
        if self.at("", "\n"):
            return self.error("expected a number, but the text ends", FORMS)
        if self.token.kind == "keyword":
            return self.error("a named argument is allowed only in a constructor", FORMS)
        if self.at(","):
            return self.error("a number is missing before this comma", "leave out the comma, or write nan")
        found = "<" if self.token.kind == "angle" else self.token.text
        return self.error(f"expected a number, got '{found}'", FORMS)

    def stray(self) -> LiteralError:
        """The error where an item has ended and neither a separator nor an end follows."""
        if self.token.text in STRAYS:
            return self.error(*STRAYS[self.token.text])
        if self.token.kind not in STARTS and not self.at("[", "("):
            return self.missing()
        if self.token.start == self.stop:
            return self.error(
                "a comma or an operator is missing here", "write 2*pi for a product, 1, 2 for two numbers"
            )
        return self.error("a comma is missing here", self.with_commas())

    def with_commas(self) -> str:
        """The line that was typed, with commas, where it is short."""
        text = self.source.text
        line = text[text.rfind("\n", 0, self.stop) + 1 :].split("\n")[0].strip()
        if len(line) > 60 or not (line.isascii() and line.isprintable()):
            return "separate numbers with commas: 1, 2, 3"
        cure = f"separate numbers with commas: {', '.join(line.replace(',', ' ').split())}"
        one = re.fullmatch(r"[-+]?[0-9]{1,3}( [0-9]{3})+", line)
        return f"{cure}; for one number, write {line.replace(' ', '')}" if one else cure
