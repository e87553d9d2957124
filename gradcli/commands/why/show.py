"""The page of one mistake: its program, PyTorch's message, the cause, and the cured program; and the
page of what was found in a program.
"""

import re
from collections.abc import Iterator, Sequence

from gradcli.catalogue.mistakes import MISTAKES, family_of
from gradcli.commands.why.request import rows
from gradcli.commands.why.result import RunResult, WhyResult
from gradcli.page import Page
from gradcli.show.document import Code, Heading, Listing, Part, Prose
from gradcli.show.pictures.plotter import Window
from gradcli.show.terminal import Style, prose

_WIDEST = 100
_INDENT = "  "


def page(result: WhyResult | RunResult, style: Style, window: Window) -> str:
    """The page as text. Prose and errors are wrapped; code and output are not."""
    if isinstance(result, RunResult):
        return _findings(result, style)
    page = Page(colour=style.colour)
    page.lines(_wrapped(_title(result), style), "bold")
    page.line(_family(result), "dim")
    for heading, part in _sections(result):
        page.line()
        if heading:
            page.line(heading, "bold")
        if isinstance(part, Listing):
            lines = _listed(part.rows, style)
        else:
            lines = part.text.splitlines()
            if isinstance(part, Prose) or part.language == "pytb":
                lines = [piece for line in lines for piece in _wrapped(line, style)]
        page.lines((f"{_INDENT}{line}" for line in lines), "" if heading else "cyan")
    return page.text


def document(result: WhyResult | RunResult, digits: int) -> list[Part]:
    """The parts of the page."""
    if isinstance(result, RunResult):
        return _found(result)
    parts: list[Part] = [Heading(_title(result)), Prose(_family(result))]
    for heading, part in _sections(result):
        parts += [Heading(heading), part] if heading else [part]
    return parts


def _title(result: WhyResult) -> str:
    return f"{result.name}: {result.entry.mistake.title}"


def _family(result: WhyResult) -> str:
    return f"family: {family_of(result.entry.mistake)}"


def _sections(result: WhyResult) -> Iterator[tuple[str, Code | Prose | Listing]]:
    """What the mistake is, what PyTorch says of it, the cause and the cure, with headings; a program
    has none.
    """
    mistake = result.entry.mistake
    output = "The program prints"
    if not result.made.messages:
        output = "PyTorch reports no error, and the program prints"
    unrun = ""
    if mistake.elsewhere:
        unrun = f" (not run here: it needs {mistake.elsewhere.needs})"
    sections: tuple[tuple[str, Code | Prose | Listing], ...] = (
        ("", Code(result.made.program)),
        (f"PyTorch reports{unrun}", Code("\n".join(result.made.messages), "pytb")),
        (output, Code("\n".join(result.made.printed), "text")),
        ("Why", Prose(result.cause)),
        ("In a training loop", Prose(mistake.in_training)),
        ("Cure", Prose(mistake.cure)),
        ("", Code(result.cured.program)),
        (f"It prints{unrun}", Code("\n".join(result.cured.printed), "text")),
        ("Other causes of the same message", Listing(rows(result.entry.same))),
        ("Related", Listing(rows(result.entry.neighbours))),
        ("In your own program", Prose(mistake.run_finds)),
    )
    return (section for section in sections if section[1][0])


def _found(result: RunResult) -> list[Part]:
    """Each finding with the lines of the program that it is about."""
    parts: list[Part] = [Heading(_ended(result))]
    for number, found in enumerate(result.findings, 1):
        parts.append(Heading(f"{number}. {found.entry}: {MISTAKES[found.entry].title}"))
        for each in found.lines:
            parts += [Prose(f"{each.file}:{each.line}"), Code(each.code), Prose(each.text)]
        parts.append(Prose(f"gradcli why {found.entry}"))
    return parts if result.findings else [*parts, Prose(result.watched)]


def _ended(result: RunResult) -> str:
    """How the program ended, and how much was found."""
    ended = "ended well"
    if result.error is not None:
        ended = f"ended with an error: {_beginning(result.error)}"
    elif result.status:
        ended = f"ended with exit status {result.status}"
    count = len(result.findings)
    what = f"{count} finding{'' if count == 1 else 's'}" if count else "nothing found"
    return f"{result.file}: {what}; it {ended}"


def _findings(result: RunResult, style: Style) -> str:
    page = Page(colour=style.colour)
    page.lines(_wrapped(_ended(result), style), "bold")
    for number, found in enumerate(result.findings, 1):
        heading = f"{number}. {found.entry}: {MISTAKES[found.entry].title}"
        page.line()
        page.lines(_wrapped(heading, style), "bold")
        for each in found.lines:
            page.line(f"{_INDENT}{each.file}:{each.line}")
            page.line(f"{_INDENT * 3}{each.code}", "cyan")
            page.lines(f"{_INDENT * 2}{line}" for line in _wrapped(each.text, style, len(_INDENT)))
        page.line(f"{_INDENT}gradcli why {found.entry}", "dim")
    if not result.findings:
        page.lines(_wrapped(result.watched, style))
    return page.text


def _beginning(error: str) -> str:
    """An error's first line, and of a long one the first sentence: the traceback shows all of it."""
    line = error.split("\n")[0]
    return line if len(line) <= 140 else re.split(r"(?<=[a-z)\]])[.;] ", line)[0]


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
