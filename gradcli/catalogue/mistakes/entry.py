"""The record of one mistake: a program that makes it, why it is one, and a program that does
not.
"""

from dataclasses import dataclass
from inspect import cleandoc

from gradcli.catalogue.imports import imports

MARK = "  # <--"
"""Stands behind the line of a program that holds the mistake."""

PYTORCH = ("torch", ".grad", "requires_grad", "autograd", ".backward(")
"""What a traceback of a program that uses PyTorch holds."""


@dataclass(frozen=True)
class Vague:
    """A piece of a message that other programs than PyTorch's give too, written as the fragments of
    a mistake are.

    It counts in a text that holds one of `signs`, and by itself where it is all that was pasted and
    `alone` is true.
    """

    text: str
    signs: tuple[str, ...] = PYTORCH
    alone: bool = True


@dataclass(frozen=True)
class Elsewhere:
    """What the programs of a mistake give where they can run: `needs` says where, `says` holds
    PyTorch's messages and `prints` what the cured program prints, a line each.
    """

    needs: str
    says: tuple[str, ...]
    prints: tuple[str, ...]


@dataclass(frozen=True)
class Mistake:
    """One mistake. `program` makes it and `cured` is the same without it; both are written without
    their imports. They are run when the mistake is shown, unless it has an `elsewhere`.

    `fragments` are pieces of what PyTorch says, in this release or in earlier ones: letters in
    order, numbers, blanks and punctuation aside, `...` for a few words that differ from one time to
    the next, `<a|b>` for one of several words. `vague` are pieces that need more than themselves. A
    mistake that PyTorch lets pass in silence has neither, and `program` prints the number that
    comes of it. `symptoms` are plain words for it, such as `loss nan`: a question that holds them,
    and otherwise nothing of its own, means this entry. `shown_by` are patterns of a program's lines:
    where a traceback shows such a line, this mistake comes before others with the same message.
    `related` names other mistakes.

    `in_training` says how the mistake shows itself in a real training loop, and `run_finds` how
    `gradcli why --run` finds it there, or why it cannot.
    """

    name: str
    title: str
    program: str
    cause: str
    cure: str
    cured: str
    fragments: tuple[str, ...] = ()
    vague: tuple[Vague, ...] = ()
    symptoms: tuple[str, ...] = ()
    shown_by: tuple[str, ...] = ()
    related: tuple[str, ...] = ()
    in_training: str = ""
    run_finds: str = ""
    elsewhere: Elsewhere | None = None

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
