"""The page of one mistake: the program that makes it, what PyTorch said, why, and the program that
does not.
"""

import textwrap
from collections.abc import Iterable, Sequence

from gradcli.commands.why.result import WhyResult
from gradcli.page import Page
from gradcli.show.pictures.plotter import Window
from gradcli.show.terminal import Style

_WIDEST = 100
_INDENT = "  "


def page(result: WhyResult, style: Style, window: Window) -> str:
    """The page as text. Prose is wrapped, code and what PyTorch printed are not."""
    said = [line for text in result.made.said for line in _wrapped(text, style)]
    silent = (
        "PyTorch reports no error, and the program prints" if not said else "The program prints"
    )
    sections: list[tuple[str, Iterable[str]]] = [
        ("", result.made.program.splitlines()),
        ("PyTorch reports", said),
        (silent, result.made.printed),
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


def _listed(others: Sequence[tuple[str, str]], style: Style) -> list[str]:
    """Names and titles in two columns."""
    widest = max((len(name) for name, _ in others), default=0) + 2
    lines = []
    for name, title in others:
        first, *more = _wrapped(title, style, widest)
        lines += [name.ljust(widest) + first, *(" " * widest + line for line in more)]
    return lines


def _wrapped(text: str, style: Style, indent: int = 0) -> list[str]:
    """Prose in lines that fit, broken at blanks alone."""
    width = max(20, min(style.width or _WIDEST, _WIDEST) - len(_INDENT) - indent)
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
