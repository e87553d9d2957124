"""The page of one mistake: its program, PyTorch's message, the cause, and the cured program; and the
page of what was found in a program.
"""

import re
from collections.abc import Iterable, Sequence

from gradcli.commands.why.result import RunResult, WhyResult
from gradcli.page import Page
from gradcli.show.pictures.plotter import Window
from gradcli.show.pieces import prose
from gradcli.show.terminal import Style

_WIDEST = 100
_INDENT = "  "


def page(result: WhyResult | RunResult, style: Style, window: Window) -> str:
    """The page as text. Prose is wrapped; code and output are not."""
    if isinstance(result, RunResult):
        return _findings(result, style)
    messages = [line for text in result.made.messages for line in _wrapped(text, style)]
    output = "The program prints"
    if not messages:
        output = "PyTorch reports no error, and the program prints"
    sections: list[tuple[str, Iterable[str]]] = [
        ("", result.made.program.splitlines()),
        ("PyTorch reports", messages),
        (output, result.made.printed),
        ("Why", _wrapped(result.cause, style)),
        ("Cure", _wrapped(result.advice, style)),
        ("", result.cured.program.splitlines()),
        ("It prints", result.cured.printed),
        ("Other causes of the same message", _listed(result.same, style)),
        ("Related", _listed(result.neighbours, style)),
    ]
    page = Page(colour=style.colour)
    page.lines(_wrapped(f"{result.name}: {result.title}", style), "bold")
    page.line(f"family: {result.family}", "dim")
    for heading, lines in sections:
        if lines := list(lines):
            page.line()
            if heading:
                page.line(heading, "bold")
            page.lines((f"{_INDENT}{line}" for line in lines), "" if heading else "cyan")
    return page.text


def _findings(result: RunResult, style: Style) -> str:
    page = Page(colour=style.colour)
    ended = "ended well"
    if result.error is not None:
        ended = f"ended with an error: {_beginning(result.error)}"
    elif result.status:
        ended = f"ended with exit status {result.status}"
    count = len(result.findings)
    what = f"{count} finding{'' if count == 1 else 's'}" if count else "nothing found"
    page.lines(_wrapped(f"{result.file}: {what}; it {ended}", style), "bold")
    for number, found in enumerate(result.findings, 1):
        page.line()
        heading = f"{number}. {found.entry}: {found.title}".removesuffix(": ")
        page.lines(_wrapped(heading, style), "bold")
        _line(page, f"{found.file}:{found.line}", found.code, found.text, style)
        for each in found.also:
            _line(page, f"{each.file}:{each.line}", each.code, each.text, style)
        page.line(f"{_INDENT}gradcli why {found.entry}", "dim")
    if not count:
        page.lines(_wrapped(result.watched, style))
    return page.text


def _beginning(error: str) -> str:
    """An error's first line, and of a long one the first sentence: the traceback shows all of it."""
    line = error.split("\n")[0]
    return line if len(line) <= 140 else re.split(r"(?<=[a-z)\]])[.;] ", line)[0]


def _line(page: Page, address: str, code: str, text: str, style: Style) -> None:
    """One line of the program, and below it what happened there."""
    page.line(f"{_INDENT}{address}")
    page.line(f"{_INDENT * 3}{code}", "cyan")
    page.lines(f"{_INDENT * 2}{line}" for line in _wrapped(text, style, len(_INDENT)))


def _listed(others: Sequence[tuple[str, str]], style: Style) -> list[str]:
    """Names and titles in two columns."""
    width = max((len(name) for name, _ in others), default=0) + 2
    lines = []
    for name, title in others:
        first, *rest = _wrapped(title, style, width)
        lines += [name.ljust(width) + first, *(" " * width + line for line in rest)]
    return lines


def _wrapped(text: str, style: Style, indent: int = 0) -> list[str]:
    width = max(20, min(style.width or _WIDEST, _WIDEST) - len(_INDENT) - indent)
    return prose(text, width)
