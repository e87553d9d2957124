"""`why`: a mistake really made and really cured, and what PyTorch said to both."""

import contextlib
import io
import warnings
from collections.abc import Callable
from inspect import cleandoc

import torch

from gradcli.catalogue.mistakes import family_of
from gradcli.catalogue.mistakes.entry import whole
from gradcli.commands.why.request import Why
from gradcli.commands.why.result import Demonstration, WhyResult


def compute(request: Why, read_stdin: Callable[[], str]) -> WhyResult:
    """The mistake that `request` means, made and cured by the installed PyTorch."""
    found = request.find(read_stdin)
    assert found is not None, "the list of mistakes is answered without PyTorch"
    mistake = found.mistake
    made, cured = run(mistake.program), run(mistake.cured)
    return WhyResult(
        name=mistake.name,
        error="\n".join(made.said or made.printed),
        cause=mistake.cause,
        cure=f"{mistake.cure}\n\n{mistake.cured_code}",
        code=mistake.code,
        related=found.related,
        title=mistake.title,
        family=family_of(mistake),
        advice=mistake.cure,
        made=made,
        cured=cured,
        same=[(other.name, other.title) for other in found.same],
        neighbours=[(other.name, other.title) for other in found.neighbours],
    )


def run(program: str) -> Demonstration:
    """Run one program of our own table and catch all that it says."""
    printed = io.StringIO()
    said = []
    every_time = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(printed):
            warnings.simplefilter("always")
            # The text comes from gradcli.catalogue.mistakes, never from the user: the one way to
            # hear what PyTorch says.
            exec(compile(whole(program), "<gradcli why>", "exec"), {"__name__": "__main__"})
    except Exception as error:  # whatever PyTorch raises is the answer
        said = [_worded(type(error), str(error))]
    finally:
        torch.set_warn_always(every_time)
    said = [_worded(warning.category, str(warning.message)) for warning in caught] + said
    return Demonstration(
        cleandoc(program), list(dict.fromkeys(said)), printed.getvalue().splitlines()
    )


def _worded(kind: type, text: str) -> str:
    """An error or a warning on one line, without where in PyTorch's sources or in our own it was
    raised.
    """
    return f"{kind.__name__}: {' '.join(text.split(' (Triggered internally')[0].split(chr(10) + '  File ')[0].split())}"
