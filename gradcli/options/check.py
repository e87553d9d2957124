"""Checks of a whole request without PyTorch: standard input is used once, files exist."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from typing import Any, NamedTuple

from gradcli.errors import UsageError
from gradcli.language import file_names
from gradcli.language.expressions import expression
from gradcli.language.expressions.program import Expression
from gradcli.language.file_names import FromFile
from gradcli.language.literals.literal import FromStdin, Literal
from gradcli.options.fields import options
from gradcli.options.shared import ComputeOptions, ExpectOptions, Question


class CheckedRequest(NamedTuple):
    """A request checked without PyTorch, its parsed expressions, and a reader of standard input."""

    request: ComputeOptions | Question
    programs: tuple[Expression, ...]
    read_stdin: Callable[[], str]


def outside(request: Any) -> Iterator[Literal | None]:
    """The values of a request that may name a file or standard input."""
    kind: type = type(request)
    for name, literal_of in _outside_fields(kind):
        value = getattr(request, name)
        for each in value if isinstance(value, tuple) else (value,):
            if each is not None:
                yield literal_of(each)


@cache
def _outside_fields(request: type) -> list[tuple[str, Callable[[Any], Any]]]:
    """The fields that may name a file, each with its `outside`."""
    kinds = {name: option.kind for name, option in options(request).items()}
    return [(name, kind.outside) for name, kind in kinds.items() if kind.outside]


def check(
    request: ComputeOptions | Question, read_stdin: Callable[[], str], *, allow_files: bool = True
) -> CheckedRequest:
    """`request`, checked as far as possible without PyTorch, with its expressions parsed.

    Raises UsageError for a second use of standard input and for a file unless `allow_files`,
    FileError for a file that cannot be read, and what parsing an expression raises.
    """
    stdin_used = False
    for literal in outside(request):
        if isinstance(literal, FromStdin):
            if stdin_used:
                hint = "it can be read only once; put one input in a file: @FILE"
                raise UsageError("standard input is used twice", hint=hint)
            stdin_used = True
            read_stdin()  # now, while a line on stderr can still say how to end it
        elif isinstance(literal, FromFile):
            if not allow_files:
                hint = "gradcli batch --allow-files"
                raise UsageError("a job may not read a file", span=literal.span, hint=hint)
            file_names.check_file(literal)
    names, free = request.input_names, request.free_inputs
    sources = request.sources(read_stdin)
    programs = [expression.parse(source, names, free=free) for source in sources]
    return CheckedRequest(_expecting(request, programs), tuple(programs), read_stdin)


def _expecting(
    request: ComputeOptions | Question, programs: Sequence[Expression]
) -> ComputeOptions | Question:
    """The request with its expectations parsed, over the names of its inputs and steps."""
    if not isinstance(request, ExpectOptions) or not request.expect:
        return request
    steps = (name for program in programs for name in program.assigned)
    parameters = (f"{name}." for program in programs for name in program.modules)
    names = tuple(dict.fromkeys((*request.formula_names, *steps, *parameters)))
    expect = tuple([expectation.parsed(names) for expectation in request.expect])
    return request if expect == request.expect else replace(request, expect=expect)
