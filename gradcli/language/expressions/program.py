"""A parsed expression: a checked program for a stack machine, with the place of every step."""

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeVar

from gradcli.language.source import Source, Span

StepKind = Literal[
    "constant", "load", "store", "drop", "copy", "unpack", "branch", "jump", "network", "layers",
    "dtype", "operator", "compare", "call", "method", "apply", "attribute", "index", "unbind", "slice", "tuple", "list",
]  # fmt: skip

COMPARISONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip


def logic(symbol: str, values: Sequence[Any], truths: Sequence[Any]) -> Any:
    """Python's `and`, `or` or `not` of plain values; `truths` say which of them are true."""
    if symbol == "not":
        return not truths[0]
    pairs = zip(values, truths, strict=True)
    return next((value for value, true in pairs if bool(true) is (symbol == "or")), values[-1])


class Label:
    """A position in the program that a jump refers to before its number is known."""


class Step(NamedTuple):
    """One step: pops the `take` top values from the stack and pushes one.

    constant        pushes `value`
    load, store     the variable `name`; store leaves the value on the stack, drop removes it
    copy            pushes the top value again
    unpack          pushes the values of a tuple, the first one last
    branch, jump    to the step number `value`; branch if the top value is false
    network, layers of a program whose modules were made (`gradcli.evaluate.networks`): pushes one;
                    puts layers in the place of the one below the call's arguments
    dtype           PyTorch's `name`
    operator        `name` is its symbol
    compare         `value` holds the symbols between the operands
    call, method    `name` is the path of a function, `Tensor.relu` for a method; the last values
                    belong to `keywords`, and that of `*` is a tuple of arguments; `value` of a
                    call is Python's own function for plain numbers
    apply           the first value is a module of torch.nn, the others its arguments; `value` says that
                    it is a "layer", whose parameters are those of the keywords that begin with a dot
    attribute       `name` of a tensor or of several results
    unbind          makes a tuple of `value` values from a tensor or a sequence of that length
    index, slice, tuple, list   as in Python; `value` holds the places of values with `*`
    """

    kind: StepKind
    span: Span
    take: int = 0
    name: str = ""
    keywords: tuple[str, ...] = ()
    value: object = None

    def split(self, operands: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
        """The operands of a call by position, and by name."""
        count = len(operands) - len(self.keywords)
        return list(operands[:count]), dict(zip(self.keywords, operands[count:], strict=True))


@dataclass(frozen=True, eq=False)
class Expression:
    """A checked expression.

    `steps` compute it. `tree` is its syntax tree, with NumPy's and Python's names replaced by their
    meaning; `made` are the nodes of the meanings, `held` the arguments that these read by a name.
    `canonical_text` is the text on one line, with parentheses where people misread precedence.
    `names` are the inputs that it reads, `assigned` the names that it binds, both in order, and
    `bound_modules` those of them that are modules of torch.nn in the end. `modules` are
    the steps that make modules of torch.nn, by the names under which their parameters are inputs; none
    if no module has parameters. Once these were made, `layers` are the names of the layers that steps
    apply, such as `net[0]`, by the ids of the steps. `notes` are (code, text) of defaults that were added.
    `calls` are the steps of the calls in the tree; `origins`, one for each step, the nodes that the steps
    came from.
    """

    source: Source
    tree: ast.Module
    steps: tuple[Step, ...]
    canonical_text: str
    names: tuple[str, ...]
    assigned: tuple[str, ...]
    bound_modules: frozenset[str]
    calls: Mapping[ast.AST, Step]
    origins: tuple[ast.AST, ...]
    made: frozenset[ast.AST]
    held: Mapping[str, ast.expr]
    notes: tuple[tuple[str, str], ...]
    modules: Mapping[str, Step]
    layers: Mapping[int, str] = field(default_factory=dict)


T = TypeVar("T")


def once(function: Callable[[Expression], T]) -> Callable[[Expression], T]:
    """The same function, computed once for each expression. The expression keeps the value, so that
    both are freed together: one that was run may hold large modules.
    """
    name = f"{function.__module__}.{function.__name__}"

    def kept(program: Expression) -> T:
        held: dict[str, Any] = vars(program)
        if name not in held:
            held[name] = function(program)
        value: T = held[name]
        return value

    return kept
