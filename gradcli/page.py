"""Text for people, drawn by rich into a string: the one place that makes a console."""

import io
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from rich import box
from rich.color import ColorSystem
from rich.style import Style

from gradcli.world import World

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

ENDLESS = 1_000_000
"""The width of a page whose lines are not wrapped."""


class Page:
    """A page being drawn; without `width`, lines are not wrapped. Trailing blanks are dropped."""

    def __init__(self, *, colour: bool, width: int | None = None) -> None:
        self._drawing = io.StringIO()
        self._parts: list[str] = []
        self._width = width
        self._colours = ColorSystem.STANDARD if colour else None

    @cached_property
    def _console(self) -> "Console":
        from rich.console import Console  # which plain lines and numbers do without

        colour = self._colours is not None
        return Console(
            file=self._drawing, width=self._width or ENDLESS, color_system="standard" if colour else None,
            force_terminal=colour, no_color=not colour, highlight=False, markup=False, emoji=False, legacy_windows=False,
        )  # fmt: skip

    def styled(self, text: str, style: str) -> str:
        """Printable text in one style, for `write`."""
        return Style.parse(style).render(text, color_system=self._colours)

    def line(self, text: str = "", style: str = "") -> None:
        """Text in one style; lines that are wider than the page are wrapped."""
        lines = text.split("\n")
        if self._width is None and all(map(str.isprintable, lines)) and text[-1:] != "\n":
            self.write("\n".join(self.styled(line, style) for line in lines) + "\n")
        else:
            from rich.text import Text

            self.draw(Text(text, style=style))

    def lines(self, texts: Iterable[str], style: str = "") -> None:
        """Several lines in one style."""
        for text in texts:
            self.line(text, style)

    def draw(self, drawing: "RenderableType") -> None:
        """Anything that rich can draw."""
        self._console.print(drawing, soft_wrap=self._width is None)

    def write(self, text: str) -> None:
        """Whole lines that are already drawn; many of them are best written in several pieces."""
        self._parts += [self._drawn(), _stripped(text)]

    def _drawn(self) -> str:
        """What rich has drawn since this was last called."""
        text = self._drawing.getvalue()
        self._drawing.seek(0)
        self._drawing.truncate()
        return _stripped(text)

    @property
    def text(self) -> str:
        """All that was drawn."""
        self._parts.append(self._drawn())
        return "".join(self._parts)


def _stripped(lines: str) -> str:
    return "\n".join([line.rstrip() for line in lines.split("\n")])


_RULES = box.Box("----\n    \n----\n    \n----\n----\n    \n----\n".replace("-", "\u2500"))
_ASCII_RULES = box.Box("----\n    \n----\n    \n----\n----\n    \n----\n", ascii=True)


def frame(*, ascii_only: bool, rules: bool = False) -> box.Box:
    """The lines of a table: around every cell, or with `rules` only above and below rows."""
    if rules:
        return _ASCII_RULES if ascii_only else _RULES
    return box.ASCII2 if ascii_only else box.ROUNDED


_WIDEST = 100


class HelpPage(Page):
    """A page of headings over rows of two columns, such as help."""

    def __init__(self, world: World) -> None:
        width = min(world.width or _WIDEST, _WIDEST)
        super().__init__(colour=world.colour(world.stdout), width=width)

    def rows(self, heading: str, rows: Sequence[tuple[str, str]]) -> None:
        """Two columns under a heading."""
        if not rows:
            return
        from rich.table import Table
        from rich.text import Text

        self.line()
        self.line(heading, "bold")
        grid = Table.grid(padding=(0, 2, 0, 0))
        grid.add_column(no_wrap=True)
        grid.add_column()
        for left, right in rows:
            grid.add_row(Text(f"  {left}", style="cyan"), Text(right))
        self.draw(grid)

    def examples(self, examples: Sequence[tuple[str, str]]) -> None:
        """Commands to copy, and what each shows below it."""
        self.line()
        self.line("Examples", "bold")
        for line, what in examples:
            self.line(f"  {line}", "cyan")
            self.line(f"      {what}", "dim")
