"""Brackets below a text, one for each part of it, with a label in each or beside it:

mse(X @ w + b, y)
    ╰[3]╯
    ╰──[3]──╯
╰──────[]───────╯
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeAlias

from rich.cells import cell_len

from gradcli.page import Page
from gradcli.show.table import Bracketed, Mark

DEEP, MANY = 24, 100
"""Lines of brackets below one line of text, and brackets of one text, at most: nobody can follow
more.
"""


class _Bracket(NamedTuple):
    """A bracket as it is drawn at the column `start`, and its label at the column `at`."""

    drawn: str
    start: int
    label: str
    at: int

    @property
    def first(self) -> int:
        """The first column that it takes."""
        return min(self.start, self.at)

    @property
    def end(self) -> int:
        """The column after the last one that it takes."""
        return max(self.start + len(self.drawn), self.at + len(self.label))

    def line(self, page: Page) -> str:
        """What is drawn, from its first column on."""
        place = self.at - self.start
        before = self.drawn[: max(0, place)].ljust(place)
        after = self.drawn[max(0, place + len(self.label)) :]
        if place < 0:
            after = after.rjust(self.end - self.at - len(self.label))
        styled = (
            page.styled(before, "dim"),
            page.styled(self.label, "cyan"),
            page.styled(after, "dim"),
        )
        return "".join(styled)


Level: TypeAlias = list[_Bracket]
"""Brackets that stand side by side."""


def draw(bracketed: Bracketed, page: Page, width: int | None, *, ascii_only: bool) -> bool:
    """Draw the texts with their brackets on a page of `width` columns (None: no bound); False, and
    nothing, if they do not fit.
    """
    strokes = "+-+|" if ascii_only else "╰─╯╵"
    drawings = []
    for text, marks in bracketed.texts:
        if (drawing := _drawing(text, marks, width, strokes)) is None:
            return False
        drawings.append(drawing)
    page.line(bracketed.table.title, "bold")
    for number, drawing in enumerate(drawings):
        if number:
            page.line()
        for line, levels in drawing:
            page.line(line)
            for level in levels:
                text, done = "", 0
                for bracket in sorted(level, key=lambda bracket: bracket.first):
                    text += " " * (bracket.first - done) + bracket.line(page)
                    done = bracket.end
                page.write(text + "\n")
    return True


def _drawing(
    text: str, marks: Iterable[Mark], width: int | None, strokes: str
) -> list[tuple[str, list[Level]]] | None:
    """The lines of a text, each with the brackets below it; None if they do not fit."""
    lines = list(_lines(text, width))
    if width is not None and any(stop - start > width for start, stop in lines):
        return None
    drawing: list[tuple[str, list[Level]]] = [(text[start:stop], []) for start, stop in lines]
    for count, mark in enumerate(marks):
        if count == MANY:
            return None
        pieces = {
            number: (max(mark.start, start), min(mark.stop, stop))
            for number, (start, stop) in enumerate(lines)
            if mark.start < stop and mark.stop > start
        }
        widest = max(
            pieces, key=lambda number: (pieces[number][1] - pieces[number][0], number), default=0
        )
        for number, (start, stop) in pieces.items():
            levels, first = drawing[number][1], lines[number][0]
            drawn = [strokes[1]] * (stop - start)
            if start == mark.start:
                drawn[0] = strokes[0]
            if stop == mark.stop:
                drawn[-1] = strokes[2] if stop - start > 1 else strokes[3]
            label = mark.label if number == widest else ""
            bracket = _labelled("".join(drawn), start - first, label, width)
            if bracket is None or not _add(bracket, levels):
                return None
    return drawing


def _lines(text: str, width: int | None) -> Iterator[tuple[int, int]]:
    """Where each line begins and ends of a text that is broken at blanks."""
    start, end = 0, cell_len(text)
    while width is not None and end - start > width and text.isascii():
        stop = text.rfind(" ", start + 1, start + width + 1)
        if stop < 0:
            break
        yield start, stop
        start = stop + 1
    yield start, end


def _labelled(drawn: str, start: int, label: str, width: int | None) -> _Bracket | None:
    """A bracket with its label in it, else to its right or left; None if there is no room."""
    room, stop = len(drawn) - 2 - len(label), start + len(drawn)
    if not label:
        at = start
    elif room >= 0:
        at = start + 1 + room // 2
    else:
        at = stop + 1
        if width is not None and at + len(label) > width:
            at = start - 1 - len(label)
    bracket = _Bracket(drawn, start, label, at)
    fits = at >= 0 and (width is None or bracket.end <= width)
    return bracket if fits else None


def _add(bracket: _Bracket, levels: list[Level]) -> bool:
    """Add a bracket below all that it would touch; whether the lines are not too many."""
    touched = (
        number
        for number, level in enumerate(levels)
        for other in level
        if bracket.first <= other.end and other.first <= bracket.end
    )
    number = max(touched, default=-1) + 1
    if number == len(levels):
        levels.append([])
    levels[number].append(bracket)
    return len(levels) <= DEEP
