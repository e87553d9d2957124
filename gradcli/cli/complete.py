"""Completion for shells: the words that fit at the cursor, as each of them reads them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from gradcli.commands.candidates import Candidate, candidates


def complete(shell: str, arguments: Sequence[str]) -> str:
    """The candidates for `shell`, one per line.

    bash passes its line up to the cursor and the characters at which it breaks words; the other
    shells pass the words after the program's name, the one at the cursor last.
    """
    if shell == "bash":
        line, breaks = (*arguments, "", "")[:2]
        typed = _split(line)
        fitting = candidates([word.text for word in typed[1:]] or [""])
        lines = [
            _for_bash(candidate, typed[-1], breaks)
            for candidate in fitting
            if candidate.word.isprintable() or not typed[-1].quote
        ]
    else:
        fitting = candidates([_unquoted(word) for word in arguments] or [""])
        shown = [candidate for candidate in fitting if candidate.word.isprintable()]
        lines = [f"{candidate.word}\t{candidate.help}".rstrip("\t") for candidate in shown]
    return "".join(f"{line}\n" for line in lines)


@dataclass(frozen=True)
class _Word:
    """A word of a command line without its quotes, and the quote that is open at its end."""

    text: str
    quote: str


_PIECE = re.compile(
    r"""'(?P<single>[^']*)(?P<closed>'|$)"""
    r"""|"(?P<double>(?:[^"\\]|\\.)*)(?P<ended>"|\\?$)"""
    r"""|\\(?P<one>.)|(?P<blank>\s+)|(?P<bare>.)""",
    re.DOTALL,
)
"""The pieces of a shell's line: quoted text, an escaped character, blanks, any other character."""


def _split(line: str) -> list[_Word]:
    """The words of a line as a shell reads them; the last may be empty or have an open quote."""
    words, text, quote = [], "", ""
    for piece in _PIECE.finditer(line.lstrip()):
        if piece["blank"] is not None:
            words.append(_Word(text, ""))
            text = ""
        elif piece["single"] is not None:
            text, quote = text + piece["single"], "" if piece["closed"] else "'"
        elif piece["double"] is not None:
            text += re.sub(r'\\([\\"$`])', r"\1", piece["double"])
            quote = "" if piece["ended"] == '"' else '"'
        else:
            text += piece["one"] or piece["bare"]
    return [*words, _Word(text, quote)]


def _unquoted(word: str) -> str:
    """A word as zsh and fish pass it, without quotes and backslashes."""
    return " ".join(piece.text for piece in _split(word))


def _for_bash(candidate: Candidate, typed: _Word, breaks: str) -> str:
    """A candidate as bash inserts it, in the place of what follows the last break character."""
    if typed.quote:
        return candidate.word
    cut = max((typed.text.rfind(char) for char in breaks if char not in " \t\n\"'"), default=-1) + 1
    return "".join(map(_char_for_bash, candidate.word[cut:]))


def _char_for_bash(char: str) -> str:
    """One character, escaped for bash: an invisible one by its number, so no terminal obeys it."""
    code = ord(char)
    if char.isprintable():
        return f"\\{char}" if char in " '\"\\$`&|;<>()*?[]{}!#~" else char
    if code < 0x80 or 0xDC80 <= code <= 0xDCFF:  # the latter is a byte that is not UTF-8
        return rf"$'\x{code & 0xFF:02x}'"
    return rf"$'\u{code:04x}'" if code < 0x10000 else rf"$'\U{code:08x}'"
