"""Breaks texts, bytes and lists of words in ways that parsers stumble over; all chance comes from
the generator given.
"""

import random
import re
from collections.abc import Callable, Sequence

NUMBERS: tuple[str, ...] = (
    "0", "-0", "1", "-1", "2", "7", "-1000", "0.5", "1e-300", "1e308", "1e400", "1e-5000", "nan", "inf", "-inf", "10**6",
    "10**12",
    "2**31", "2**62", "-2**62", "9223372036854775807", "9223372036854775808", "-9223372036854775809", "99999999999999999999",
    "1_000",
    "0x10", "0b1", "1j", "1.", ".5", "1..2", "1e", "1e+", "00", "1/0", "1/3", "pi", "e", "None", "True",
    "\N{FULLWIDTH DIGIT ONE}",
    "\N{ARABIC-INDIC DIGIT THREE}", "\N{SUPERSCRIPT TWO}", "\N{VULGAR FRACTION ONE HALF}",
)  # fmt: skip
SIGNS: tuple[str, ...] = (
    *"+-*/%@^&|~<>=!?.,:;()[]{}#\\'\"`$_ \t\n\r\f\v\0\x1b\x7f", "**", "//", "==", "!=", "->", ":=", "...", "<<", ">>", "'''",
    '"""',
    "\N{HORIZONTAL ELLIPSIS}", "\N{MINUS SIGN}", "\N{MULTIPLICATION SIGN}", "\N{MIDDLE DOT}", "\N{LEFT SINGLE QUOTATION MARK}",
    "\N{NO-BREAK SPACE}", "\N{ZERO WIDTH JOINER}", "\N{ZERO WIDTH NO-BREAK SPACE}", "\N{RIGHT-TO-LEFT OVERRIDE}",
    "\N{LINE SEPARATOR}",
    "\N{NEXT LINE}", "\N{COMBINING ACUTE ACCENT}", "\N{FULLWIDTH LATIN SMALL LETTER X}", "\N{PILE OF POO}",
    "\N{CJK UNIFIED IDEOGRAPH-68AF}",
    "\N{FULLWIDTH LEFT PARENTHESIS}", "\N{GREEK SMALL LETTER SIGMA}", "\udc80", "\udcff", "\N{PARTIAL DIFFERENTIAL}",
    "\N{SQUARE ROOT}",
)  # fmt: skip
REPEATS = (2, 3, 10, 65, 201, 1_000)
_TOKEN = re.compile(r"\w+|\s+|\*\*|.", re.DOTALL)
_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?(?![\w.])")


def text(given: str, chance: random.Random, words: Sequence[str], others: Sequence[str]) -> str:
    """`given` after one to four changes; `words` are what its language is made of, `others` texts
    like it.
    """
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
        change = chance.choice(CHANGES)
        given = change(given, chance, words, others)
    return given


def number(given: str, chance: random.Random) -> str:
    """`given` with one of its numbers, if it has any, replaced by a hostile one."""
    places = list(_NUMBER.finditer(given))
    if not places:
        return given
    place = chance.choice(places)
    start, stop = place.span()
    return given[:start] + chance.choice(NUMBERS) + given[stop:]


def _tokens(given: str) -> list[str]:
    return [found[0] for found in _TOKEN.finditer(given)] or [""]


def _replace_number(
    given: str, chance: random.Random, words: Sequence[str], others: Sequence[str]
) -> str:
    return number(given, chance)


def _replace_word(
    given: str, chance: random.Random, words: Sequence[str], others: Sequence[str]
) -> str:
    tokens = _tokens(given)
    tokens[chance.randrange(len(tokens))] = chance.choice(words)
    return "".join(tokens)


def _insert_word(
    given: str, chance: random.Random, words: Sequence[str], others: Sequence[str]
) -> str:
    tokens = _tokens(given)
    tokens.insert(chance.randrange(len(tokens) + 1), chance.choice(words))
    return "".join(tokens)


def _insert_sign(
    given: str, chance: random.Random, words: Sequence[str], others: Sequence[str]
) -> str:
    place = chance.randrange(len(given) + 1)
    return given[:place] + chance.choice(SIGNS) + given[place:]


def _delete(given: str, chance: random.Random, words: Sequence[str], others: Sequence[str]) -> str:
    tokens = _tokens(given)
    start = chance.randrange(len(tokens))
    del tokens[start : start + chance.choice((1, 1, 2, 5))]
    return "".join(tokens)


def _swap(given: str, chance: random.Random, words: Sequence[str], others: Sequence[str]) -> str:
    tokens = _tokens(given)
    one, two = chance.randrange(len(tokens)), chance.randrange(len(tokens))
    tokens[one], tokens[two] = tokens[two], tokens[one]
    return "".join(tokens)


def _repeat(given: str, chance: random.Random, words: Sequence[str], others: Sequence[str]) -> str:
    """A few tokens many times: deep nesting, long chains. Seldom very often, because that takes
    long to say no to.
    """
    tokens = _tokens(given)
    start = chance.randrange(len(tokens))
    piece = tokens[start : start + chance.choice((1, 2, 3))]
    return "".join(
        [
            *tokens[:start],
            *piece * chance.choices(REPEATS, (40, 30, 20, 4, 3, 1))[0],
            *tokens[start:],
        ]
    )


def _cut(given: str, chance: random.Random, words: Sequence[str], others: Sequence[str]) -> str:
    return given[: chance.randrange(len(given) + 1)]


def _splice(given: str, chance: random.Random, words: Sequence[str], others: Sequence[str]) -> str:
    other = chance.choice(others)
    return given[: chance.randrange(len(given) + 1)] + other[chance.randrange(len(other) + 1) :]


Change = Callable[[str, random.Random, Sequence[str], Sequence[str]], str]
CHANGES: tuple[Change, ...] = (
    _replace_number, _replace_number, _replace_word, _replace_word, _insert_word, _insert_sign, _delete, _swap, _repeat, _cut,
    _splice,
)  # fmt: skip

PIECES = (
    b"\0", b"\xff", b"\x80", b"\xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xef\xbb\xbf", b"\xe2\x80\xa8", b"\r", b"\n",
    b"\n\n", b"\t",
    b"\\", b'"', b"'", b"[", b"]", b"{", b"}", b",", b":", b"null", b"true", b"NaN", b"-Infinity", b"1e400", b"-0",
    b"\\u0000", b"\\ud800",
    b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff\xff\xff\xff\xff", b"\x80\x00\x00\x00\x00\x00\x00\x00",
    b"PK\x05\x06",
)  # fmt: skip


def raw(given: bytes, chance: random.Random, others: Sequence[bytes]) -> bytes:
    """`given` after a few changes of its bytes."""
    found = bytearray(given)
    for _ in range(chance.choice((1, 1, 1, 2, 3, 8))):
        place = chance.randrange(len(found) + 1)
        match chance.randrange(9):
            case 0 | 1 if place < len(found):
                found[place] = chance.randrange(256)
            case 2 if place < len(found):
                found[place] ^= 1 << chance.randrange(8)
            case 3:
                del found[place : place + chance.choice((1, 1, 2, 4, 16, 100))]
            case 4 | 5:
                found[place:place] = chance.choice(PIECES)
            case 6:
                found[place:place] = found[
                    place : place + chance.choice((1, 4, 16))
                ] * chance.choice((1, 2, 8, 100))
            case 7:
                del found[place:]
            case _:
                other = chance.choice(others)
                found[place:] = other[chance.randrange(len(other) + 1) :]
    return bytes(found)


def words(given: Sequence[str], chance: random.Random, more: Callable[[], str]) -> list[str]:
    """A list of words after one to three changes; `more` makes a word."""
    found = list(given)
    for _ in range(chance.choice((1, 1, 2, 3))):
        place = chance.randrange(len(found) + 1)
        match chance.randrange(5):
            case 0 if place < len(found):
                del found[place]
            case 1 if place < len(found):
                found.insert(chance.randrange(len(found) + 1), found[place])
            case 2 if place < len(found):
                other = chance.randrange(len(found))
                found[place], found[other] = found[other], found[place]
            case 3 if place < len(found):
                found[place] = more()
            case _:
                found.insert(place, more())
    return found
