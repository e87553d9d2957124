"""The words of a tensor literal: one regular expression cuts them, and answers the slips it knows."""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from gradcli.errors import LiteralError
from gradcli.language.limits import LITERAL_DEPTH
from gradcli.language.source import Source


class Token(NamedTuple):
    """One word: its kind (a group of the expression below, or `end`), its text, and where it stands."""

    kind: str
    text: str
    start: int
    stop: int


class Slip(NamedTuple):
    """Text that looks like a word and is none, with what is wrong about it and what to do."""

    pattern: str
    message: str
    cure: str


FORMS = "write 2, or 1,2,3, or [[1,2],[3,4]], or zeros(2,3), or @data.npy"
"""The cure where nothing nearer is known."""

# Possessive: digits are never given back, or a long run of them would be tried in all ways to divide it.
_DIGITS = r"(?:[0-9]++\.?+[0-9]*+|\.[0-9]++)"
_NUMBER = _DIGITS + r"(?:[eE][-+]?[0-9]++)?+"
_NAME = r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*"

SLIPS = {
    "gone": Slip(
        r"\.\.\.|\u2026",
        "numbers were left out here when this was printed",
        "print them all: torch.set_printoptions(threshold=10**9) or np.set_printoptions(threshold=10**9)",
    ),
    "complex": Slip(
        rf"(?:{_NUMBER}\s*[-+]\s*)?{_NUMBER}[ijIJ](?![A-Za-z0-9_])",
        "complex numbers are not supported",
        "give the real and the imaginary part as two inputs and join them in the expression: torch.complex(a, b)",
    ),
    "based": Slip(r"0[xXoObB][A-Za-z0-9_]*", "only decimal numbers are supported", "write it in decimal: 16, not 0x10"),
    "grouped": Slip(r"[0-9][0-9.]*_[0-9_.]*", "a number cannot contain underscores", "write 1000, not 1_000"),
    "points": Slip(
        r"(?:[0-9]+\.[0-9]*|\.[0-9]+)\.[0-9.]*",
        "a number has at most one decimal point",
        "put a comma between numbers: 1.2, 3",
    ),
    "exponent": Slip(
        _DIGITS + r"[eE][-+]?(?![-+A-Za-z0-9_.])",
        "the exponent has no digits",
        "write 1.5e3 for 1500; a product with the constant e is 1.5*e",
    ),
    "power": Slip(
        r"\*\*|\^", "powers are not supported in a literal", "write 1e3 for 10**3; arithmetic belongs in the expression"
    ),
}

_TOKEN = re.compile(
    "|".join(
        f"(?P<{kind}>{pattern})"
        for kind, pattern in (
            ("newline", r"[^\S\n]*\n\s*"),
            ("skip", r"[^\S\n]+|\ufeff|Parameter containing:\s*"),
            # The commonest words come first, the slips before all that they resemble.
            ("number", _NUMBER + r"(?=[\s,;)\]]|$)"),
            ("mark", r"[][(),;=]"),
            *((kind, slip.pattern) for kind, slip in SLIPS.items()),
            ("digits", _NUMBER),
            ("call", _NAME + r"(?=\s*\()"),
            ("keyword", _NAME + r"(?=\s*=)"),
            ("name", _NAME),
            ("string", r"\"[^\"\n]*\"|'[^'\n]*'"),
            ("angle", r"<[^<>\n]*>"),
            ("sign", r"[*/+-]"),
            ("stranger", r"[\s\S]"),
        )
    )
)

_CLOSES = {"]": "[", ")": "("}

_TYPED = dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-") | {
    "\u00b7": "*",
    "\u00d7": "*",
    "\u00f7": "/",
    "\u03c0": "pi",
    "\u2018": "'",
    "\u2019": "'",
    "\u201c": '"',
    "\u201d": '"',
    "\u221e": "inf",
    "\u3001": ",",
}
"""What a character that editors and web pages make stands for, where Unicode's own normal form does not say it."""

_ASCII_CURES = {
    "\\": "remove the backslash: the shell does not need it inside quotes",
    ":": "write a range as arange(start, end, step)",
    "{": "write lists in square brackets: [1, 2]",
    "}": "write lists in square brackets: [1, 2]",
    "$": "the shell expands $NAME only in double quotes",
    "@": "@ is allowed only at the start: @data.npy",
    "%": "write 0.5 for 50%",
    '"': "a quote was never closed",
    "'": "a quote was never closed",
}


def tokens(source: Source) -> Iterator[Token]:
    """The words of `source`, brackets paired, the last one of kind `end`; line breaks count only outside brackets.

    Raises LiteralError at a slip, at a character that has no place in a literal and at a bracket without its partner,
    SizeError where brackets nest too deep.
    """
    opened: list[Token] = []
    for match in _TOKEN.finditer(source.text):
        kind = match.lastgroup or ""
        if kind == "skip" or (kind == "newline" and opened):
            continue
        text = "\n" if kind == "newline" else match.group()
        token = Token("number" if kind == "digits" else kind, text, *match.span())
        if slip := SLIPS.get(kind):
            raise LiteralError(slip.message, place=source.span(token.start, token.stop), cure=slip.cure)
        if kind == "stranger":
            raise _stranger(source, token)
        if token.text in ("[", "("):
            opened.append(token)
            LITERAL_DEPTH.check(len(opened), "the literal", place=source.span(token.start), cure="remove some brackets")
        elif token.text in _CLOSES:
            _close(source, opened, token)
        yield token
    if opened:
        start = opened[-1].start
        raise LiteralError(f"'{opened[-1].text}' was never closed", place=source.span(start), cure=_partner(opened[-1]))
    yield Token("end", "", len(source.text), len(source.text))


def _close(source: Source, opened: list[Token], token: Token) -> None:
    """Take the partner of a closing bracket off `opened`, or raise."""
    place = source.span(token.start)
    if not opened:
        raise LiteralError(f"unmatched '{token.text}'", place=place, cure=f"open it with {_CLOSES[token.text]}")
    if opened[-1].text != _CLOSES[token.text]:
        message = f"'{token.text}' does not match '{opened[-1].text}'"
        raise LiteralError(message, place=place, cure=_partner(opened[-1]))
    opened.pop()


def _partner(opening: Token) -> str:
    return f"close it with {']' if opening.text == '[' else ')'}"


def _stranger(source: Source, token: Token) -> LiteralError:
    """The error for a character that no literal holds; the cure is the one it looks like, where there is one."""
    char, place = token.text, source.span(token.start)
    if char.isascii() and char.isprintable():
        return LiteralError(f"invalid character {char!r} in a literal", place=place, cure=_ASCII_CURES.get(char, FORMS))
    if unicodedata.category(char) == "Cs":
        return LiteralError("this is not UTF-8 text", place=place, cure="save or type it as UTF-8")
    name = unicodedata.name(char, "control character").lower()
    message = f"invalid character U+{ord(char):04X} ({name}) in a literal"
    return LiteralError(message, place=place, cure=_cure_of(char))


def _cure_of(char: str) -> str:
    """What to do about a character that is not ASCII."""
    if unicodedata.decomposition(char).startswith("<super>"):
        return SLIPS["power"].cure
    digit = unicodedata.digit(char, None)
    typed = _TYPED.get(char) or (unicodedata.normalize("NFKC", char) if digit is None else str(digit))
    typed = typed.replace("\u2044", "/")  # as in one half
    if typed.isascii() and typed.isprintable():
        return f"type {typed} instead"
    if unicodedata.category(char) == "Sm":
        return "a literal holds numbers; arithmetic belongs in the expression"
    return "a literal holds numbers; names belong in the expression" if char.isalpha() else "remove it"
