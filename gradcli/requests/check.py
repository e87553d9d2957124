"""What can be checked of a whole request without PyTorch: one use of standard input, files that are there."""

from collections.abc import Callable
from functools import cache
from typing import Any

from gradcli.errors import UsageError
from gradcli.requests.derivatives import OfExpression
from gradcli.requests.grad import Grad
from gradcli.requests.inputs import INPUTS
from gradcli.requests.options import TENSOR, options
from gradcli.requests.plot import Plot
from gradcli.text import expression, paths
from gradcli.text.literal import FromStdin, Literal, Numbers
from gradcli.text.paths import FromFile


def literals(request: Any) -> list[Literal]:
    """Every tensor literal of a request."""
    found = [item.literal for item in request.inputs] if isinstance(request, Plot) else []  # words of several kinds
    kind: type = type(request)
    for name, several in _holding(kind):
        value = getattr(request, name)
        if several:
            found += [item.literal for item in value]
        elif value is not None:
            found.append(value)
    return found


@cache
def _holding(request: type) -> tuple[tuple[str, bool], ...]:
    """The fields of a request type that hold literals, and whether they hold named ones."""
    return tuple((name, it.kind is INPUTS) for name, it in options(request).items() if it.kind in (TENSOR, INPUTS))


def check(request: Any, read_stdin: Callable[[], str], *, allow_files: bool = True) -> None:
    """Check `request` as far as that goes without PyTorch.

    Raises UsageError for a second use of standard input and for a file where none is allowed, FileError for one that cannot
    be read, and for an expression what parsing it raises.
    """
    streams = getattr(request, "expression_from_stdin", False)
    for found in literals(request):
        if isinstance(found, Numbers):
            continue
        if isinstance(found, FromStdin):
            if streams:
                raise UsageError(
                    "standard input is used twice", cure="it can be read once; put one of them in a file: @FILE"
                )
            streams = True
            read_stdin()  # now, while stderr can still say that it is waited for
        elif isinstance(found, FromFile):
            if not allow_files:
                raise UsageError("a job may not read files", cure="gradcli batch --allow-files")
            paths.check_file(found)
    if isinstance(request, Grad | OfExpression):
        expression.parse(request.source(read_stdin), request.input_names)
    elif isinstance(request, Plot):
        for source in request.sources(read_stdin):
            expression.parse(source, request.input_names)
