"""The words of a tensor literal, by one regular expression that also recognises mistakes."""

import re
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from gradcli.errors import LiteralError
from gradcli.language.limits import LITERAL_DEPTH
from gradcli.language.source import Source


class Token(NamedTuple):
    """One word: its kind (a group of the expression below, or `end`), its text and its place."""

    kind: str
    text: str
    start: int
    stop: int


FORMS = "write 2, or 1,2,3, or [[1,2],[3,4]], or zeros(2,3), or @data.npy"
"""The hint if there is no better one."""

# Possessive, without backtracking: else a long run of digits would be divided in all possible ways.
_DIGITS = r"(?:[0-9]++\.?+[0-9]*+|\.[0-9]++)"
_NUMBER = _DIGITS + r"(?:[eE][-+]?[0-9]++)?+"
_NAME = r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*"

_MISTAKES = {
    "gone": (r"\.\.\.|\u2026", "numbers were left out here when this was printed",
        "print them all: torch.set_printoptions(threshold=10**9) or np.set_printoptions(threshold=10**9)"),
    "complex": (rf"(?:{_NUMBER}\s*[-+]\s*)?{_NUMBER}[ijIJ](?![A-Za-z0-9_])", "complex numbers are not supported",
        "give the real and the imaginary part as two inputs and join them in the expression: torch.complex(a, b)"),
    "based": (r"0[xXoObB][A-Za-z0-9_]*", "only decimal numbers are supported", "write it in decimal: 16, not 0x10"),
    "grouped": (r"[0-9][0-9.]*_[0-9_.]*", "a number cannot contain underscores", "write 1000, not 1_000"),
    "points": (r"(?:[0-9]+\.[0-9]*|\.[0-9]+)\.[0-9.]*", "a number has at most one decimal point",
        "put a comma between numbers: 1.2, 3"),
    "exponent": (_DIGITS + r"[eE][-+]?(?![-+A-Za-z0-9_.])", "the exponent has no digits",
        "write 1.5e3 for 1500; a product with the constant e is 1.5*e"),
    "power": (r"\*\*|\^", "powers are not supported in a literal", "write 1e3 for 10**3; arithmetic belongs in the expression"),
}  # fmt: skip
"""Mistakes by name: the pattern, the message and the hint."""

_KINDS = {
    "newline": r"[^\S\n]*\n\s*",
    "skip": r"[^\S\n]+|\ufeff|Parameter containing:\s*",
    # The commonest words come first, mistakes before the words that they resemble.
    "number": _NUMBER + r"(?=[\s,;)\]]|$)",
    "mark": r"[][(),;=]",
    **{kind: pattern for kind, (pattern, _, _) in _MISTAKES.items()},
    "digits": _NUMBER, "call": _NAME + r"(?=\s*\()", "keyword": _NAME + r"(?=\s*=)", "name": _NAME,
    "string": r"\"[^\"\n]*\"|'[^'\n]*'", "angle": r"<[^<>\n]*>", "sign": r"[*/+-]", "stranger": r"[\s\S]",
}  # fmt: skip
_TOKEN = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _KINDS.items()))

_CLOSED_BY = {"[": "]", "(": ")"}

_TYPED = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212", "-"),
    **dict.fromkeys("\u00b7\u00d7", "*"),
    **dict.fromkeys("\u2018\u2019", "'"),
    **dict.fromkeys("\u201c\u201d", '"'),
    **dict(zip("\u00f7\u3001\u03c0\u221e", ("/", ",", "pi", "inf"), strict=True)),
}
"""What to type instead of a character, if Unicode's normal form does not say it."""

_ASCII_HINTS = {
    "\\": "remove the backslash: the shell does not need it inside quotes",
    ":": "write a range as arange(start, end, step)",
    **dict.fromkeys("{}", "write lists in square brackets: [1, 2]"),
    "$": "the shell expands $NAME only in double quotes",
    "@": "@ is allowed only at the start: @data.npy",
    "%": "write 0.5 for 50%",
    **dict.fromkeys("'\"", "a quote was never closed"),
}


def tokens(source: Source) -> Iterator[Token]:
    """The words of `source`, the last one of kind `end`; line breaks only outside brackets.

    Raises LiteralError for a mistake, an invalid character and an unmatched bracket, SizeError if
    brackets nest too deep.
    """
    opened: list[Token] = []

    def error(message: str, hint: str, start: int, stop: int | None = None) -> LiteralError:
        return LiteralError(message, span=source.span(start, stop), hint=hint)

    for match in _TOKEN.finditer(source.text):
        kind, text = match.lastgroup or "", match.group()
        start, stop = match.span()
        if kind == "skip" or (kind == "newline" and opened):
            continue
        if kind == "stranger":
            raise error(*_stranger(text), start)
        if kind in _MISTAKES:
            raise error(*_MISTAKES[kind][1:], start, stop)
        kind = "number" if kind == "digits" else kind
        token = Token(kind, "\n" if kind == "newline" else text, start, stop)
        if text in _CLOSED_BY:
            opened.append(token)
            hint = "remove some brackets"
            LITERAL_DEPTH.check(len(opened), "the literal", span=source.span(start), hint=hint)
        elif text in ("]", ")"):
            if not opened:
                opening = "[" if text == "]" else "("
                raise error(f"unmatched '{text}'", f"open it with {opening}", start)
            opening = opened.pop().text
            if text != _CLOSED_BY[opening]:
                hint = f"close it with {_CLOSED_BY[opening]}"
                raise error(f"'{text}' does not match '{opening}'", hint, start)
        yield token
    if opened:
        opening, start = opened[-1].text, opened[-1].start
        raise error(f"'{opening}' was never closed", f"close it with {_CLOSED_BY[opening]}", start)
    yield Token("end", "", len(source.text), len(source.text))


def _stranger(char: str) -> tuple[str, str]:
    """The message and the hint for an invalid character."""
    if char.isascii() and char.isprintable():
        return f"invalid character {char!r} in a literal", _ASCII_HINTS.get(char, FORMS)
    if unicodedata.category(char) == "Cs":
        return "this is not UTF-8 text", "save or type it as UTF-8"
    name = unicodedata.name(char, "control character").lower()
    return f"invalid character U+{ord(char):04X} ({name}) in a literal", _hint_of(char)


def _hint_of(char: str) -> str:
    """The hint for a character that is not ASCII."""
    if unicodedata.decomposition(char).startswith("<super>"):
        return _MISTAKES["power"][2]
    digit = unicodedata.digit(char, None)
    normal = unicodedata.normalize("NFKC", char) if digit is None else str(digit)
    typed = (_TYPED.get(char) or normal).replace("\u2044", "/")  # as in one half
    if typed.isascii() and typed.isprintable():
        return f"type {typed} instead"
    if unicodedata.category(char) == "Sm":
        return "a literal holds numbers; arithmetic belongs in the expression"
    if char.isalpha():
        return "a literal holds numbers; names belong in the expression"
    return "remove it"
