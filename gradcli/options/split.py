"""Hints for words that are not a command: pieces of a literal or an expression that the shell split
at its blanks, a function or a formula in the place of the command.
"""

import re
import shlex
from collections.abc import Collection, Sequence

from gradcli.catalogue.functions import ACTIVATIONS, LOSSES
from gradcli.errors import UsageError

_NUMBER = r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+|inf|nan|pi)(?:/\d+)?"
_PIECE = re.compile(rf"[\[(]*(?:{_NUMBER})?(?:[\])]*[,;][\[(]*(?:{_NUMBER})?)*[\])]*")

_FORMULA = 200
"""The longest first word that a hint offers as a formula."""


def check_values(words: Sequence[str], tensors: Collection[str]) -> None:
    """Raise a UsageError if the shell split off numbers: `--x 1, 2`, `x=1, 2`, `x = 1`.

    `tensors` are the options that take a tensor, and the names that may be given as NAME=T.
    """
    for at, word in enumerate(words):
        name, equals, value = word.partition("=")
        if word == "--":
            return
        if name not in tensors:
            continue
        rest = list(words[at + 1 :])
        is_option = name.startswith("--")
        apart = not (equals or is_option) and rest[:1] != [] and rest[0].startswith("=")
        if not equals:
            if not rest or not (apart or is_option):
                continue
            value = rest.pop(0).removeprefix("=" if apart else "")
        stop = next((i for i, piece in enumerate(rest) if not _PIECE.fullmatch(piece)), len(rest))
        if (apart or stop) and _PIECE.fullmatch(value):
            pieces = [piece for piece in (value, *rest[:stop]) if piece]
            raise _split(pieces, f"{name} '" if is_option else f"'{name}=")


def too_many(words: Sequence[str]) -> UsageError | None:
    """The error of words that are pieces of one literal; None if they are not."""
    return _split(words) if all(map(_PIECE.fullmatch, words)) else None


def _split(pieces: Sequence[str], opening: str = "'") -> UsageError:
    whole = " ".join(pieces)
    if not re.search(r"[,;\[(]", whole):
        whole = ", ".join(pieces)
    hint = f"quote it: {opening}{whole}'"
    return UsageError("the shell split a literal at its spaces", hint=hint)


def expression_split(words: Sequence[str]) -> UsageError | None:
    """The error of words that are one expression together; None if they are not."""
    # The grammar of expressions, which only an error needs.
    from gradcli.language.expressions.corrections import parses

    whole = " ".join(words)
    if not parses(whole):
        return None
    hint = f"quote it: {shlex.quote(whole)}"
    return UsageError("the shell split the expression at its spaces", hint=hint)


def without_command(words: Sequence[str]) -> str:
    """The call with its command, if a function or a formula is in the place of the command."""
    # The grammar of expressions, which only an error needs.
    from gradcli.language.expressions.corrections import parses

    first, name = words[0], words[0].partition("(")[0]
    if name in ACTIVATIONS:
        return f"gradcli activate {shlex.quote(first)} x=-2,0,2"
    if name in LOSSES:
        return f"gradcli loss {shlex.quote(first)} pred=1,2 target=0,0"
    formula = not first.isidentifier() and len(first) <= _FORMULA and parses(first)
    return shlex.join(["gradcli", "grad", *words]) if formula else ""
