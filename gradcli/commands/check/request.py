"""`check`: a file of the user, a name in it, and the inputs of what it names."""

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from gradcli import user_code
from gradcli.errors import UsageError
from gradcli.language import assignment
from gradcli.language.literals import literal
from gradcli.language.source import Source, Span
from gradcli.language.suggest import did_you_mean
from gradcli.options.fields import FLAG, TENSORS, Paths, ValueKind, argument, option
from gradcli.options.formula import EXPRESSION, GivenExpression
from gradcli.options.inputs import INPUTS, Input, read_input, read_inputs
from gradcli.options.shared import TABLE_FILES, ComputeOptions, WrtOptions

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")
_FORM = "FILE.py:NAME, or FILE.py:FORWARD,BACKWARD for a backward pass of your own"


@dataclass(frozen=True)
class Target:
    """What is checked: the path of a file, and one name in it or two."""

    given: Source
    path: str
    names: tuple[str, ...]

    @cached_property
    def module(self) -> Source:
        """The text of the file. Raises FileError."""
        return user_code.read(self.path)

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree. Raises FileError, and CodeError for wrong syntax."""
        return user_code.parsed(self.module)

    def place(self, name: str) -> Span:
        """The place of one of the names in what was typed."""
        start = self.given.text.rfind(name)
        return self.given.span(start, start + len(name))

    def missing(self, name: str, hint: str) -> UsageError:
        """The error for a name that is not in the file."""
        return UsageError(f"{self.path} has no {name!r}", span=self.place(name), hint=hint)

    def find(self) -> None:
        """Look for the names in the file, as far as that is possible without running it.

        Raises FileError, CodeError for wrong syntax, UsageError for a name that is not there.
        """
        bound = set(_bound(self.tree))
        for name in self.names:
            if "*" not in bound and name.partition(".")[0] not in bound:
                own = [node.name for node in self.tree.body if isinstance(node, _DEFINITIONS)]
                hint = did_you_mean(name, own) or f"it has {', '.join(own[:8]) or 'no function'}"
                raise self.missing(name, hint)

    def imported(self) -> set[str]:
        """The packages that the file imports."""
        found = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.partition(".")[0])
        return found


_DEFINITIONS = (ast.FunctionDef, ast.ClassDef)
_BINDING = frozenset({"exec", "globals", "setattr", "vars"})
"""Functions that may bind names that the text of a module does not show."""


def _bound(tree: ast.AST) -> Iterator[str]:
    """The names that a module binds; `*` where others may be."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, _DEFINITIONS):
            yield node.name
            continue
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in _BINDING:
            yield "*"
        yield from _bound(node)


def _read_target(source: Source) -> Target:
    path, colon, written = source.text.rpartition(":")
    names = tuple(name.strip() for name in written.split(","))
    if not colon or "/" in written or written.endswith(".py"):
        message = "expected the name of what is checked after the file"
        raise UsageError(message, span=source.whole, hint=_FORM)
    if not path.endswith(".py"):
        raise UsageError("expected a Python file", span=source.span(0, len(path)), hint=_FORM)
    if len(names) > 2 or not all(map(_NAME.fullmatch, names)):
        place = source.span(len(path) + 1, len(source.text))
        raise UsageError("expected a name, or two with a comma", span=place, hint=_FORM)
    return Target(source, path, names)


def _read_input(source: Source) -> Input:
    """`NAME=T`; the name of a module's parameter has dots."""
    path = assignment.split(source, dots=True)
    if path is None or "." not in path[0]:
        return read_input(source)
    return Input(path[0], literal.parse(source.rest(path[1], path[0])))


TARGET = ValueKind("FILE.py:NAME", _read_target, paths=Paths("", (".py",)))
ARGUMENTS = ValueKind(
    "NAME=T",
    _read_input,
    lambda words, taken, command: read_inputs(words, taken, command, _read_input),
    paths=TENSORS,
    outside=INPUTS.outside,
)


@dataclass(frozen=True, kw_only=True)
class Check(WrtOptions, ComputeOptions):
    """Runs FILE.py and checks the gradients of your own function, torch.autograd.Function, module or
    backward pass against central differences in float64, and autograd where the code is plain PyTorch.
    """

    runs_user_code: ClassVar[bool] = True
    in_batch: ClassVar[bool] = False
    free_inputs: ClassVar[bool] = True
    files: ClassVar[tuple[str, ...]] = (".json", ".csv", *TABLE_FILES)
    dtype: ClassVar[str] = "float64"  # type: ignore[misc]
    device: ClassVar[str] = "cpu"  # type: ignore[misc]
    instead: ClassVar[Mapping[str, str]] = {
        "dtype": "leave it out: differences need float64",
        "device": "leave it out: it runs on the CPU",
        "code": "leave it out: the program is your own",
        "graph": "for an expression: gradcli grad EXPR NAME=T --graph tree",
        "tol": "leave it out: the tolerance is 1e-5",
        "explain": "for an expression: gradcli grad EXPR NAME=T --explain",
        "check": "leave it out: check compares already",
        "expect": "for an expected gradient: --like EXPR, an expression over the same inputs",
    }

    target: Target = argument(TARGET, _FORM)
    inputs: tuple[Input, ...] = argument(
        ARGUMENTS, "the inputs by the names of the parameters, such as x=1,2", (), many=True
    )
    with_gradient: bool = option(
        FLAG, "the function returns (value, gradient or gradients) itself", False
    )
    like: GivenExpression | None = option(
        EXPRESSION, "an expression over the same inputs with the same value and gradients", None
    )
    second: bool = option(FLAG, "check the second derivative too", False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.target.names) == 2 and self.with_gradient:
            hint = f"name one function: {self.target.path}:{self.target.names[0]}"
            raise UsageError("--with-gradient is for one function, not for two", hint=hint)
        if self.second and (self.with_gradient or len(self.target.names) == 2):
            message = "--second differentiates a gradient, which only autograd can do here"
            raise UsageError(message, hint="leave out --second, or write a torch.autograd.Function")

    def sources(self, read_stdin: Callable[[], str]) -> list[Source]:
        """The expression of --like. The file is read here too, before PyTorch is loaded."""
        self.target.find()
        return [] if self.like is None else [self.like.load(read_stdin)]
