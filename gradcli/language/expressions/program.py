"""What an expression is once it is read: a checked program for a stack machine, with the place of
every step.
"""

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from gradcli.language.source import Source, Span

StepKind = Literal[
    "constant", "load", "store", "drop", "copy", "unpack", "branch", "jump",
    "dtype", "operator", "compare", "call", "method", "apply", "attribute", "index", "unbind", "slice", "tuple", "list",
]  # fmt: skip


class Label:
    """A position in the program that jumps refer to before it is known."""


class Step(NamedTuple):
    """One step: takes the `take` uppermost values from the stack and leaves one there.

    constant        leaves `value`
    load, store     the variable `name`; store leaves the value on the stack, which drop takes away
    copy            leaves the uppermost value once more
    unpack          takes a tuple apart, its first value uppermost
    branch, jump    to the step number `value`; branch when the uppermost value is false
    dtype           PyTorch's `name`
    operator        `name` is its symbol
    compare         `value` holds the symbols between the operands
    call, method    `name` is the path of a function, `Tensor.relu` for a method; the last values belong to `keywords`, and
                    that of `*` is a tuple of arguments; `value` of a call is Python's own function for plain numbers
    apply           the first value is a module of torch.nn, the others its arguments
    attribute       `name` of a tensor or of several results
    unbind          makes a tuple of `value` values from a tensor or a sequence of that length
    index, slice, tuple, list   as in Python; `value` holds the places of values that `*` takes apart
    """

    kind: StepKind
    span: Span
    take: int = 0
    name: str = ""
    keywords: tuple[str, ...] = ()
    value: object = None

    def split(self, operands: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
        """The operands of a call by place, and by name."""
        count = len(operands) - len(self.keywords)
        return list(operands[:count]), dict(zip(self.keywords, operands[count:], strict=True))


@dataclass(frozen=True, eq=False)
class Expression:
    """A checked expression.

    `steps` compute it; `tree` is the same as Python's syntax tree, with what NumPy's and Python's
    names mean in their places, `made` the nodes of those, and `held` the arguments that they read
    by a name; `canonical_text` is the text on one line with parentheses where precedence surprises.
    `names` are the inputs that it reads, `assigned` the names that it binds, in order. `notes` are
    (code, text) of what was filled in. `calls` are the steps that the calls of the tree became;
    `origins`, one for each step, the nodes that the steps came from.
    """

    source: Source
    tree: ast.Module
    steps: tuple[Step, ...]
    canonical_text: str
    names: frozenset[str]
    assigned: tuple[str, ...]
    calls: Mapping[ast.AST, Step]
    origins: tuple[ast.AST, ...]
    made: frozenset[ast.AST]
    held: Mapping[str, ast.expr]
    notes: tuple[tuple[str, str], ...]
