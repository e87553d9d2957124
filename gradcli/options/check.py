"""What can be checked of a whole request without PyTorch: one use of standard input, files that are
there.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, NamedTuple

from gradcli.errors import UsageError
from gradcli.language import file_names
from gradcli.language.expressions import expression
from gradcli.language.expressions.program import Expression
from gradcli.language.file_names import FromFile
from gradcli.language.literals.literal import FromStdin, Literal
from gradcli.options.fields import options
from gradcli.options.shared import ComputeOptions, Question


class CheckedRequest(NamedTuple):
    """A request that is valid as far as that can be told without PyTorch, its expressions, and what
    reads standard input.
    """

    request: ComputeOptions | Question
    programs: tuple[Expression, ...]
    read_stdin: Callable[[], str]


def outside(request: Any) -> Iterator[Literal | None]:
    """Whatever a request holds that may stand for a file or for standard input."""
    kind: type = type(request)
    for name, several, within in _asked(kind):
        value = getattr(request, name)
        if several:
            yield from map(within, value)
        elif value is not None:
            yield within(value)


@cache
def _asked(request: type) -> tuple[tuple[str, bool, Callable[[Any], Any]], ...]:
    """The fields of a request type that may name a file, whether they hold several values, and what
    finds it in one.
    """
    known = options(request)
    return tuple(
        (name, it.many or it.repeatable, it.kind.outside)
        for name, it in known.items()
        if it.kind.outside
    )


def check(
    request: ComputeOptions | Question, read_stdin: Callable[[], str], *, allow_files: bool = True
) -> CheckedRequest:
    """`request`, checked as far as that goes without PyTorch, with its expressions parsed.

    Raises UsageError for a second use of standard input and for a file where none is allowed,
    FileError for one that cannot be read, and for an expression what parsing it raises.
    """
    streams = False
    for found in outside(request):
        if isinstance(found, FromStdin):
            if streams:
                raise UsageError(
                    "standard input is used twice",
                    hint="it can be read only once; put one input in a file: @FILE",
                )
            streams = True
            read_stdin()  # now, while stderr can still say that it is waited for
        elif isinstance(found, FromFile):
            if not allow_files:
                raise UsageError(
                    "a job may not read a file", span=found.span, hint="gradcli batch --allow-files"
                )
            file_names.check_file(found)
    programs = [
        expression.parse(source, request.input_names) for source in request.sources(read_stdin)
    ]
    return CheckedRequest(request, tuple(programs), read_stdin)
