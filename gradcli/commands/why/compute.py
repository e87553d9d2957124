"""`why`: a mistake and its cure, both run, with the messages of PyTorch."""

import contextlib
import io
import os
import warnings
from collections.abc import Callable, Sequence
from inspect import cleandoc

import torch

from gradcli.catalogue.mistakes.entry import Mistake, whole
from gradcli.commands.why.request import Why
from gradcli.commands.why.result import Demonstration, Found, Line, RunResult, WhyResult


def compute(request: Why, read_stdin: Callable[[], str]) -> WhyResult | RunResult:
    """The mistake that `request` names, made and cured by the installed PyTorch, or what is found
    in the program of --run.
    """
    if request.run is not None:
        return _found_in(request.run, request.words)
    entry = request.find(read_stdin)
    assert entry is not None, "the list of mistakes is answered without PyTorch"
    mistake = entry.mistake
    made, cured = demonstrations(mistake)
    return WhyResult(
        name=mistake.name,
        error="\n".join(made.messages or made.printed),
        cause=mistake.cause,
        cure=f"{mistake.cure}\n\n{mistake.cured_code}",
        code=mistake.code,
        related=entry.related,
        entry=entry,
        made=made,
        cured=cured,
    )


def _found_in(file: str, arguments: Sequence[str]) -> RunResult:
    """The faults of a program of the user's, which is run."""
    from gradcli.watch.examine import examine  # which entries do without

    whole_path, folder = os.path.abspath(file), ""
    with contextlib.suppress(FileNotFoundError):  # of a folder that has been removed
        folder = os.getcwd()

    def shown(path: str) -> str:
        """A file as the user typed it, or relative to the folder of the call if it is in it."""
        if path == whole_path:
            return file
        relative = os.path.relpath(path, folder) if folder else os.pardir
        return path if relative.startswith(os.pardir) else relative

    examination = examine(file, arguments)
    outcome = examination.outcome
    return RunResult(
        findings=[
            Found(
                finding.entry,
                shown(finding.place.file),
                finding.place.line,
                finding.place.text,
                finding.text,
                [
                    Line(each.place.line, each.place.text, each.text, shown(each.place.file))
                    for each in finding.also
                ],
            )
            for finding in examination.findings
        ],
        error=outcome.said,
        status=outcome.status,
        ok=not examination.findings and outcome.status == 0,
        file=file,
        watched=examination.watched,
    )


def demonstrations(mistake: Mistake) -> tuple[Demonstration, Demonstration]:
    """A mistake made and cured; what is on record, if its programs cannot be run here."""
    if (elsewhere := mistake.elsewhere) is None:
        return run(mistake.program), run(mistake.cured)
    return (
        Demonstration(cleandoc(mistake.program), [*elsewhere.says], []),
        Demonstration(cleandoc(mistake.cured), [], [*elsewhere.prints]),
    )


def run(program: str) -> Demonstration:
    """The messages and the output of a program of the catalogue of mistakes."""
    printed = io.StringIO()
    messages = []
    every_time = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(printed):
            warnings.simplefilter("always")
            # The text comes from gradcli.catalogue.mistakes, never from the user.
            exec(compile(whole(program), "<gradcli why>", "exec"), {"__name__": "__main__"})
    except Exception as error:  # whatever PyTorch raises is the answer
        messages = [_message(type(error), str(error))]
    finally:
        torch.set_warn_always(every_time)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()  # else the cured program could not make its own
    messages = [_message(each.category, str(each.message)) for each in caught] + messages
    lines = printed.getvalue().splitlines()
    return Demonstration(cleandoc(program), list(dict.fromkeys(messages)), lines)


def _message(kind: type, text: str) -> str:
    """An error or a warning on one line, without its places in PyTorch's sources and in ours."""
    text = text.partition(" (Triggered internally")[0].partition("\n  File ")[0]
    return f"{kind.__name__}: {' '.join(text.split())}"
