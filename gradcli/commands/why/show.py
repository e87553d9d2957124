"""The page of one mistake: its program, PyTorch's message, the cause, and the cured program."""

from collections.abc import Iterable, Sequence

from gradcli.commands.why.result import WhyResult
from gradcli.page import Page
from gradcli.show.pictures.plotter import Window
from gradcli.show.pieces import prose
from gradcli.show.terminal import Style

_WIDEST = 100
_INDENT = "  "


def page(result: WhyResult, style: Style, window: Window) -> str:
    """The page as text. Prose is wrapped; code and output are not."""
    messages = [line for text in result.made.messages for line in _wrapped(text, style)]
    output = "The program prints"
    if not messages:
        output = "PyTorch reports no error, and the program prints"
    unrun = f" (not run here: it needs {result.needs})" if result.needs else ""
    sections: list[tuple[str, Iterable[str]]] = [
        ("", result.made.program.splitlines()),
        (f"PyTorch reports{unrun}", messages),
        (output, result.made.printed),
        ("Why", _wrapped(result.cause, style)),
        ("In a training loop", _wrapped(result.in_training, style)),
        ("Cure", _wrapped(result.advice, style)),
        ("", result.cured.program.splitlines()),
        (f"It prints{unrun}", result.cured.printed),
        ("Other causes of the same message", _listed(result.same, style)),
        ("Related", _listed(result.neighbours, style)),
        ("In your own program", _wrapped(result.run_finds, style)),
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
    width = max((len(name) for name, _ in others), default=0) + 2
    lines = []
    for name, title in others:
        first, *rest = _wrapped(title, style, width)
        lines += [name.ljust(width) + first, *(" " * width + line for line in rest)]
    return lines


def _wrapped(text: str, style: Style, indent: int = 0) -> list[str]:
    width = max(20, min(style.width or _WIDEST, _WIDEST) - len(_INDENT) - indent)
    return prose(text, width)
