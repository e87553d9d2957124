"""The errors and warnings in a pasted text, whatever it was copied from and wrapped by."""

import html
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import NamedTuple


def cut(word: str) -> str:
    """A pattern for a word that a line break may cut."""
    return r"\n?".join(map(re.escape, word))


_COLOUR = re.compile(r"(?:\x1b|\\x1b|\\u001b|\\033|\^\[|\u241b)?\[\d{1,3}(?:;\d{1,3})*m")
"""Codes of colour, also those that lost their first character."""

_TAG = re.compile(r"</?(?:a|b|br|code|div|em|font|i|p|pre|span|strong)(?:\s[^<>]*)?/?>")

_PREFIX = re.compile(
    r"""^[ \t]*(?:[>|│┃❱]+[ \t]?)+ | ^E[ \t]{2,} | ^\[rank\d+\]:[ \t]? | ^[\w.-]+[ \t]+\|[ \t]
    | ^\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,\d]*(?:Z|[+-]\d\d:?\d\d)?\]?[ \t]?""",
    re.MULTILINE | re.VERBOSE,
)
"""What quoting, pytest, a launcher of several processes or a log puts before each line."""

_SOURCE = re.compile(
    r"^[ \t]*(?:-+>[ \t]*)?(?:\d+[ \t]+)?raise\b.*$|^(?:-+>[ \t]*\d+|[ \t]{2,}\d+)[ \t].*$",
    re.MULTILINE,
)
"""Lines of a program that a traceback shows: one that raises, and those that a notebook numbers."""

_HEADER = "tracebackmostrecentcalllast"
_CHAINED = ("aboveexceptionwasthedirectcause", "handlingoftheaboveexception")
_MESSENGERS = re.compile(
    r"(?:childfailed|calledprocess|raytask)error|process(?:raised|exited)exception|systemexit"
)
"""Errors that only report another one, which is above them."""

_NAME = 20
"""Characters of an error's name that a line break may have cut off from its end."""

_LONGEST_NAME = 100

_LAST = 100
"""The number of errors and warnings at the end of a log that are examined."""

_MARKER = re.compile(
    rf"""(?<![A-Za-z0-9_.])(?<!except[ ])(?:
        [A-Za-z0-9_.]*?(?:(?P<warning>{cut("Warning")})
            |{cut("Error")}|{cut("Exception")}|{cut("Interrupt")}|SystemExit|Exception[ ]Value)\n?(?:[ ]?[:\uff1a]|[ \t]*$)
        | (?:[A-Za-z0-9_]+\.)+error: | ERROR: | ^error:
    )""",
    re.MULTILINE | re.VERBOSE,
)
"""Where an error or a warning begins."""

_RAISED = re.compile(
    r"^Traceback \(most recent call last\):.*\n(?:(?:[ \t].*)?\n)*(?=[A-Za-z_][\w.]*(?::|\s*$))",
    re.MULTILINE,
)
"""A traceback up to its last line, which names an error whatever its class is called."""


class Statement(NamedTuple):
    """One error or warning of a text, with all that follows up to the next one.

    `follows`: it was caused by the one before it, or only reports that one.
    `bare`: no name of an error precedes it, so that only its text can identify it.
    """

    text: str
    warning: bool
    follows: bool
    bare: bool


def plain(text: str) -> str:
    """The text without colour, quote marks, markup and escapes."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\\n", "\n").replace("\\t", "\t")
    text = _COLOUR.sub("", text)
    if "<" in text:
        text = _TAG.sub("", text)
    while "&" in text and (meant := html.unescape(text)) != text:
        text = meant
    return _PREFIX.sub("", text)


def without_source(text: str) -> str:
    """A plain text without the source lines that a traceback or a notebook shows."""
    return _SOURCE.sub("", text)


def assertions(text: str) -> list[str]:
    """The failed assertions of a GPU's kernels in a plain text."""
    return re.findall(rf"{cut('Assertion')}\s[^\x00]*?{cut('failed')}", text)


def shows(text: str, signs: Iterable[str]) -> bool:
    """Whether a word is in a plain text, even across a line break; `.word` is an attribute."""
    patterns = (
        f"{'' if sign[0] == '.' else '(?<![A-Za-z])'}{cut(sign)}(?![A-Za-z])" for sign in signs
    )
    return any(re.search(pattern, text) for pattern in patterns)


def letters(text: str) -> str:
    """The letters and underscores of a text in lower case, and nothing else."""
    return "".join(re.findall("[A-Za-z_]+", text)).lower()


def statements(text: str) -> list[Statement]:
    """The errors and warnings of a plain text in order, after what precedes them, a bare one."""
    marks = {m.start(): (m.end(), bool(m["warning"])) for m in _MARKER.finditer(text)}
    for raised in _RAISED.finditer(text):
        marks.setdefault(raised.end(), (raised.end() + _LONGEST_NAME, False))
    places = sorted(marks)
    pieces = [text[start:stop] for start, stop in pairwise([0, *places, len(text)])]
    stated = [Statement(pieces[0], warning=False, follows=True, bare=True)]
    for before, piece, place in zip(pieces, pieces[1:], places, strict=False):
        end, warning = marks[place]
        between = letters(before)
        follows = _HEADER not in between or any(words in between for words in _CHAINED)
        reports = _MESSENGERS.search(letters(text[max(0, place - _NAME) : end]))
        stated.append(Statement(piece, warning, follows or bool(reports), bare=False))
    return stated


def counting(text: str) -> Iterator[Statement]:
    """The statements of a plain text that may explain it, the likeliest first.

    That is the last error, its causes, and the words before them; warnings only if nothing failed.
    """
    stated = statements(text)
    for statement in reversed([item for item in stated if not item.warning][-_LAST:]):
        yield statement
        if not statement.follows:
            return
    if all(statement.warning or statement.bare for statement in stated):
        for statement in reversed(stated[1:][-_LAST:]):
            if _HEADER in letters(statement.text):
                return  # the error after it has no known name, or was cut off
            yield statement
