"""The record of one mistake: a program that makes it, why it is one, and a program that does not."""

from dataclasses import dataclass
from inspect import cleandoc

from gradcli.tables.imports import imports

MARK = "  # <--"
"""Stands behind the line of a program that holds the mistake."""


@dataclass(frozen=True)
class Mistake:
    """One mistake. `program` makes it and `cured` is the same without it; both are written without their imports.

    `fragments` are pieces of what PyTorch says, in this release or in earlier ones: words in order, numbers and
    punctuation aside, `...` for a few words that differ from one time to the next. A mistake that PyTorch lets pass
    in silence has none, and `program` prints the number that comes of it. `related` names other mistakes.
    """

    name: str
    title: str
    program: str
    cause: str
    cure: str
    cured: str
    fragments: tuple[str, ...] = ()
    related: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        """The program that makes the mistake, whole, the offending line marked."""
        return whole(self.program)

    @property
    def cured_code(self) -> str:
        """The program without the mistake, whole."""
        return whole(self.cured)


def whole(program: str) -> str:
    """A program with its imports, ended by a line feed."""
    body = cleandoc(program)
    return "\n".join([*imports(body), "", body, ""])
