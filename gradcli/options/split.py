"""Words that make no command, and what was meant: pieces of one literal or expression that the
shell took apart at its blanks, a function or a formula where the command belongs.
"""

import re
import shlex
from collections.abc import Collection, Sequence

from gradcli.catalogue.functions import ACTIVATIONS, LOSSES
from gradcli.errors import UsageError

_NUMBER = r"[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|\.\d+|inf|nan|pi)(?:/\d+)?"
_PIECE = re.compile(rf"[\[(]*(?:{_NUMBER})?(?:[\])]*[,;][\[(]*(?:{_NUMBER})?)*[\])]*")

_FORMULA = 200
"""Characters of a first word that is still worth offering back as a formula."""


def check_values(words: Sequence[str], tensors: Collection[str]) -> None:
    """Raise a UsageError where numbers stand apart from what they belong to: `--x 1, 2`, `x=1, 2`,
    `x = 1`.

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
    """The error of words that are pieces of one literal; None where they are not."""
    return _split(words) if all(map(_PIECE.fullmatch, words)) else None


def _split(pieces: Sequence[str], opening: str = "'") -> UsageError:
    whole = " ".join(pieces)
    if not re.search(r"[,;\[(]", whole):
        whole = ", ".join(pieces)
    return UsageError(
        "the shell split a literal at its spaces", hint=f"quote it: {opening}{whole}'"
    )


def expression_split(words: Sequence[str]) -> UsageError | None:
    """The error of words that are an expression together; None where they are not."""
    from gradcli.language.expressions.corrections import (
        parses,
    )  # the grammar of expressions, which only an error needs

    whole = " ".join(words)
    if not parses(whole):
        return None
    return UsageError(
        "the shell split the expression at its spaces", hint=f"quote it: {shlex.quote(whole)}"
    )


def without_command(words: Sequence[str]) -> str:
    """The call that was meant where a function or a formula is in the place of the command; empty
    where there is none.
    """
    from gradcli.language.expressions.corrections import (
        parses,
    )  # the grammar of expressions, which only an error needs

    first, name = words[0], words[0].partition("(")[0]
    if name in ACTIVATIONS or name in LOSSES:
        inputs = "x=-2,0,2" if name in ACTIVATIONS else "pred=1,2 target=0,0"
        return (
            f"gradcli {'activate' if name in ACTIVATIONS else 'loss'} {shlex.quote(first)} {inputs}"
        )
    formula = not first.isidentifier() and len(first) <= _FORMULA and parses(first)
    return shlex.join(["gradcli", "grad", *words]) if formula else ""
