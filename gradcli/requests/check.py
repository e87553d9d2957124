"""What can be checked of a whole request without PyTorch: one use of standard input, files that are there."""

from collections.abc import Callable, Iterator
from typing import Any, get_args

from gradcli.errors import UsageError
from gradcli.requests.derivatives import OfExpression
from gradcli.requests.grad import Grad
from gradcli.requests.inputs import Input
from gradcli.requests.plot import Plot
from gradcli.text import expression, paths
from gradcli.text.literal import FromStdin, Literal
from gradcli.text.paths import FromFile

_LITERALS = get_args(Literal)


def literals(request: Any) -> Iterator[Literal]:
    """Every tensor literal of a request."""
    for value in vars(request).values():
        for item in value if isinstance(value, tuple) else (value,):
            found = item.literal if isinstance(item, Input) else item
            if isinstance(found, _LITERALS):
                yield found


def check(request: Any, read_stdin: Callable[[], str]) -> None:
    """Check `request` as far as that goes without PyTorch.

    Raises UsageError for a second use of standard input, FileError for a file that cannot be read, and for an expression
    what parsing it raises.
    """
    streams = getattr(request, "expression_from_stdin", False)
    for found in literals(request):
        if isinstance(found, FromStdin):
            if streams:
                raise UsageError(
                    "standard input is used twice", cure="it can be read once; put one of them in a file: @FILE"
                )
            streams = True
            read_stdin()  # now, while stderr can still say that it is waited for
        elif isinstance(found, FromFile):
            paths.check_file(found)
    if isinstance(request, Grad | OfExpression):
        expression.parse(request.source(read_stdin), request.input_names)
    elif isinstance(request, Plot):
        for source in request.sources(read_stdin):
            expression.parse(source, request.input_names)
