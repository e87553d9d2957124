"""The page of one mistake: the program that makes it, what PyTorch said, why, and the program that does not."""

import io
import textwrap
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

from gradcli.results import WhyResult
from gradcli.show.terminal import Style

_WIDEST = 100
_INDENT = "  "


def render(result: WhyResult, style: Style) -> str:
    """The page as text. Prose is wrapped, code and what PyTorch printed are not."""
    said = [line for text in result.made.said for line in _wrapped(text, style)]
    silent = "PyTorch says nothing, and the program prints" if not said else "The program prints"
    sections: list[tuple[str, Iterable[str]]] = [
        ("", result.made.program.splitlines()),
        ("PyTorch says", said),
        (silent, result.made.printed),
        ("Why", _wrapped(result.cause, style)),
        ("Cure", _wrapped(result.advice, style)),
        ("", result.cured.program.splitlines()),
        ("It prints", result.cured.printed),
        ("Related", _wrapped(", ".join(result.related), style)),
    ]
    text = io.StringIO()
    console = Console(
        file=text, width=1_000_000, color_system="standard" if style.colour else None, force_terminal=style.colour,
        no_color=not style.colour, legacy_windows=False, highlight=False, markup=False, emoji=False,
    )  # fmt: skip
    for line in _wrapped(f"{result.name}: {result.title}", style):
        console.print(Text(line, style="bold"))
    console.print(Text(f"family: {result.family}", style="dim"))
    for heading, lines in sections:
        if lines := list(lines):
            console.print()
            if heading:
                console.print(Text(heading, style="bold"))
            for line in lines:
                console.print(Text(f"{_INDENT}{line}", style="cyan" if not heading else ""))
    return "\n".join(line.rstrip() for line in text.getvalue().split("\n"))


def _wrapped(text: str, style: Style) -> list[str]:
    """Prose in lines that fit, broken at blanks alone."""
    width = max(20, min(style.width or _WIDEST, _WIDEST) - len(_INDENT))
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)
