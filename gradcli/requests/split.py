"""What the shell took apart at its blanks: pieces of one literal or expression among the words, and their quoted form."""

import re
import shlex
from collections.abc import Collection, Sequence

from gradcli.errors import UsageError

_NUMBER = r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+|inf|nan|pi)(?:/\d+)?"
_PIECE = re.compile(rf"[\[(]*(?:{_NUMBER})?(?:[\])]*[,;][\[(]*(?:{_NUMBER})?)*[\])]*")


def check_values(words: Sequence[str], tensors: Collection[str]) -> None:
    """Raise a UsageError where numbers stand behind the value of an option in `tensors`: `--x 1, 2`."""
    for at, word in enumerate(words):
        name, equals, value = word.partition("=")
        if word == "--":
            return
        if name not in tensors:
            continue
        first = [value] if equals else list(words[at + 1 : at + 2])
        rest = words[at + 2 - bool(equals) :]
        stop = next((i for i, piece in enumerate(rest) if not _PIECE.fullmatch(piece)), len(rest))
        if first and stop and _PIECE.fullmatch(first[0]):
            raise _split([*first, *rest[:stop]], f"{name} ")


def too_many(words: Sequence[str]) -> UsageError | None:
    """The error of words that are pieces of one literal; None where they are not."""
    return _split(words) if all(map(_PIECE.fullmatch, words)) else None


def _split(pieces: Sequence[str], before: str = "") -> UsageError:
    whole = " ".join(pieces)
    if not re.search(r"[,;\[(]", whole):
        whole = ", ".join(pieces)
    return UsageError("the shell split a literal at its blanks", cure=f"quote it: {before}'{whole}'")


def expression_split(words: Sequence[str]) -> UsageError | None:
    """The error of words that are an expression together; None where they are not."""
    from gradcli.text.spelling import parses  # the grammar of expressions, which only an error needs

    whole = " ".join(words)
    if not parses(whole):
        return None
    return UsageError("the shell split the expression at its blanks", cure=f"quote it: {shlex.quote(whole)}")
