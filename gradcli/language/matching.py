"""Which mistake a name or a pasted message means, by letters, not numbers or shapes."""

import re
from functools import cache
from typing import NamedTuple

from gradcli.catalogue.mistakes import ALIASES, MISTAKES
from gradcli.catalogue.mistakes.entry import Mistake, Vague
from gradcli.language import pasted, questions
from gradcli.language.questions import nearest as nearest

_GAP = "[a-z_]{0,64}"
"""The pattern of `...` in a fragment."""

_OPERATOR = re.compile(r"(\(s\)\s*f\n?o\n?r\s*)(\*\*|[-+*/@%])\s*=?\s*:")
_OPERATORS = {
    "*": "times", "-": "minus", "+": "plus", "/": "over", "@": "at", "%": "modulo", "**": "power",
}  # fmt: skip

_LETTER = re.compile("[A-Za-z_]")
_NAMED = re.compile(r"^[\w.]*:\s*", re.ASCII)
"""The name of an error, before its message."""

_FEWEST = 3
"""The fewest words of a piece of a message that is recognised by itself."""

_AROUND = 16
"""Letters that may surround a vague message pasted alone: a log's level, the rank of a process."""


def by_name(name: str) -> Mistake | None:
    """The mistake of that name, in any case and with `_` or `-`; None if there is none."""
    plain = name.strip().lower().replace("_", "-")
    return MISTAKES.get(ALIASES.get(plain, plain))


def by_text(text: str) -> list[Mistake]:
    """The mistakes that a text means, those that fit most closely first, then the most common."""
    text = pasted.plain(text)
    if mistakes := questions.by_symptoms(text):
        return mistakes
    for statement in pasted.counting(pasted.without_source(text)):
        if scores := _scores(_asserted(statement.text, text), text):
            shown = [  # those that the program's lines in the text show
                name
                for name in scores
                if any(re.search(line, text, re.MULTILINE) for line in MISTAKES[name].shown_by)
            ]
            return sorted(questions.best_first(scores), key=lambda found: found.name not in shown)
    return []


def last_said(text: str) -> str:
    """The last error of a text, else its last warning, else all of it."""
    stated = pasted.statements(pasted.without_source(pasted.plain(text)))
    named = [statement for statement in stated if not statement.bare]
    failed = [statement for statement in named if not statement.warning]
    return (failed or named or stated)[-1].text.strip() or text.strip()


def sharing(mistake: Mistake) -> list[Mistake]:
    """The other mistakes with one of the same messages."""
    pieces = _pieces(mistake)
    return [item for item in MISTAKES.values() if item != mistake and _pieces(item) & pieces]


def _pieces(mistake: Mistake) -> set[str]:
    return {*mistake.fragments, *(piece.text for piece in mistake.vague)}


# --- messages -----------------------------------------------------------------------------------


class _Piece(NamedTuple):
    """A piece of a mistake's message, as letters; `vague` if more must show that it is meant."""

    name: str
    pattern: re.Pattern[str]
    literal: str
    vague: Vague | None


class _Match(NamedTuple):
    """A piece found in a statement: its place, and the number of letters that it matches."""

    name: str
    start: int
    stop: int
    letters: int


def _with_operators_named(text: str) -> str:
    """A text with the operator after "operand type(s) for" as a word: only letters are compared."""
    return _OPERATOR.sub(lambda found: f"{found[1]}{_OPERATORS[found[2]]}:", text)


class _Squeezed:
    """The letters of a statement, and the place of each in it."""

    def __init__(self, message: str) -> None:
        self.text = _with_operators_named(message)
        self._places = [match.start() for match in _LETTER.finditer(self.text)]
        self.letters = pasted.letters(self.text)

    def is_whole(self, start: int, stop: int) -> bool:
        """Whether these letters begin and end with a word."""
        first, last = self._places[start], self._places[stop - 1]
        begins = first == 0 or not _LETTER.match(self.text, first - 1)
        return begins and not _LETTER.match(self.text, last + 1)

    def opens_line(self, start: int) -> bool:
        """Whether this letter is the first one of its line."""
        place = self._places[start]
        return not _LETTER.search(self.text, self.text.rfind("\n", 0, place) + 1, place)


@cache
def _table() -> list[_Piece]:
    pieces: list[_Piece] = []
    for mistake in MISTAKES.values():
        vague = {item.text: item for item in mistake.vague}
        for text in (*mistake.fragments, *vague):
            literal = pasted.letters(re.sub("<.*?>", "", text))
            pattern = re.compile(_pattern(text))
            pieces.append(_Piece(mistake.name, pattern, literal, vague.get(text)))
    return pieces


def _pattern(fragment: str) -> str:
    """The pattern of a fragment among letters alone: `...` is a gap, `<a|b>` a choice."""
    pieces = []
    for part in re.split(r"(\.\.\.|<.*?>)", _with_operators_named(fragment)):
        if part[:1] == "<":
            pieces.append(f"(?:{'|'.join(map(pasted.letters, part[1:-1].split('|')))})")
        else:
            pieces.append(_GAP if part == "..." else pasted.letters(part))
    return "".join(pieces)


def _asserted(message: str, text: str) -> str:
    """The failed assertions that caused a GPU's late error, if the text shows them."""
    late = "devicesideassert" in pasted.letters(message)
    return "\n".join(pasted.assertions(text)) or message if late else message


def _scores(message: str, text: str) -> dict[str, int]:
    """The mistakes in a message, each with the number of letters that its fragments match."""
    squeezed = _Squeezed(message)
    matches = []
    for piece in _table():
        spans = (found.span() for found in piece.pattern.finditer(squeezed.letters))
        for span in filter(lambda span: squeezed.is_whole(*span), spans):
            match = _Match(piece.name, *span, len(piece.literal))
            if piece.vague is None or _is_meant(piece.vague, match, message, text):
                matches.append(match)
    scores: dict[str, int] = {}
    for match in _latest(matches, squeezed):
        scores[match.name] = max(scores.get(match.name, 0), match.letters)
    return scores or _of_piece(_NAMED.sub("", message))


def _is_meant(vague: Vague, match: _Match, message: str, text: str) -> bool:
    """Whether a vague piece is about PyTorch: the text shows it, or is only the message."""
    besides = len(pasted.letters(_NAMED.sub("", message))) - (match.stop - match.start)
    around = len(pasted.letters(text)) - len(pasted.letters(message))
    return (vague.alone and max(besides, around) <= _AROUND) or pasted.shows(text, vague.signs)


def _latest(matches: list[_Match], squeezed: _Squeezed) -> list[_Match]:
    """The matches in the last message, which begins at a line that opens with another mistake."""
    for start in sorted({match.start for match in matches}, reverse=True):
        before = [match for match in matches if match.start < start]
        after = [match for match in matches if match.start >= start]
        apart = all(match.stop <= start for match in before)
        others = not {match.name for match in before} & {match.name for match in after}
        if before and apart and others and squeezed.opens_line(start):
            return after
    return matches


def _of_piece(text: str) -> dict[str, int]:
    """The mistakes whose message contains the few words that were pasted."""
    words = re.findall("[a-z_]+", text.lower())
    if len(words) < _FEWEST or not questions.TERMS & {*words}:
        return {}
    joined = "".join(words)
    return {piece.name: len(joined) for piece in _table() if joined in piece.literal}
