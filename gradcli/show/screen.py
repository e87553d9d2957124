"""A terminal as SVG: the text that the program prints in colour, as a picture that can be selected.

Each piece of text has its own place and length, so that columns stand whatever monospaced font a
reader has; the picture loads nothing. Lines are as close as the glyphs are high, so that the frames
of tables are closed.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from html import escape

from rich.console import Console
from rich.segment import Segment
from rich.text import Text

from gradcli.world import World

WIDTH = 80
"""Columns of the terminal."""
SIZE, ADVANCE, LINE, MARGIN = 14.0, 8.43, 16.4, 18.0
"""The font's size, the width of a character, the height of a line and the space around the text, in
pixels."""

STYLE = (
    "text{font:14px 'DejaVu Sans Mono',Menlo,Consolas,'Liberation Mono',monospace;fill:#d7dae0;white-space:pre}"
    ".bold{font-weight:bold}.dim{fill:#7f8794}.cyan{fill:#5cc5d8}.green{fill:#86c98a}.red{fill:#e98080}"
    "path{fill:none;stroke:#d7dae0;stroke-width:2.4;stroke-linecap:round}"
    "path.cyan{stroke:#5cc5d8}path.yellow{stroke:#e0b35c}path.magenta{stroke:#cf8fd8}path.blue{stroke:#7fa8e8}"
    "path.green{stroke:#86c98a}path.red{stroke:#e98080}.yellow{fill:#e0b35c}.blue{fill:#7fa8e8}.magenta{fill:#cf8fd8}"
)
COLOURS = {1: "red", 2: "green", 3: "yellow", 4: "blue", 5: "magenta", 6: "cyan"}
"""The terminal's colours that the program uses, by their ANSI numbers."""


def draw(print_on: Callable[[World], str], world: World) -> str:
    """The SVG of a colour terminal of WIDTH columns in UTF-8, whatever the user's is, that shows what
    `print_on` returns for it; the first line is its title.
    """
    stdout = io.TextIOWrapper(io.BytesIO(), "utf-8")
    paper = replace(world, width=WIDTH, stdout=stdout, environ={"FORCE_COLOR": "1"})
    lines = [*Text.from_ansi(print_on(paper).rstrip("\n")).split()]
    return draw_lines(lines, lines[0].plain)


def draw_lines(lines: Sequence[Text], title: str) -> str:
    """The SVG of a terminal that shows these lines."""
    width = 2 * MARGIN + ADVANCE * max(line.cell_len for line in lines)
    height = 2 * MARGIN + LINE * len(lines)
    body = [
        text
        for number, line in enumerate(lines)
        for text in _texts(line, MARGIN + SIZE + LINE * number)
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.1f} {height:.1f}" width="{width:.0f}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}</style>",
            '<rect width="100%" height="100%" rx="8" fill="#1d2129"/>',
            *body,
            "</svg>\n",
        ]
    )


def _texts(line: Text, y: float) -> Iterator[str]:
    """One element for each piece of a line in one style, without the blanks around it; braille as
    dots, whatever the font.
    """
    column = 0
    for segment in line.render(Console()):
        letters = "".join(" " if _bits(char) else char for char in segment.text)
        bare = letters.strip()
        if bare:
            start = column + len(letters) - len(letters.lstrip())
            place = f'x="{MARGIN + ADVANCE * start:.1f}" y="{y:.1f}" textLength="{ADVANCE * len(bare):.1f}"'
            yield f'<text {place}{_classes(segment)} xml:space="preserve">{escape(bare, quote=False)}</text>'
        if dots := "".join(
            _dots(char, column + number, y) for number, char in enumerate(segment.text)
        ):
            yield f'<path{_classes(segment)} d="{dots}"/>'
        column += len(segment.text)


def _bits(char: str) -> int:
    """The dots of a braille character; 0 for any other."""
    return ord(char) - 0x2800 if 0x2800 < ord(char) < 0x2900 else 0


def _dots(char: str, column: int, y: float) -> str:
    """The dots of a braille character as strokes without length, a quarter of the line and half of
    the column apart.
    """
    left, top = MARGIN + ADVANCE * column, y - SIZE
    return "".join(
        f"M{left + ADVANCE * (x + 0.5) / 2:.1f} {top + LINE * (row + 0.5) / 4:.1f}h0"
        for bit, (x, row) in enumerate(
            ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))
        )
        if _bits(char) >> bit & 1
    )


def _classes(segment: Segment) -> str:
    style = segment.style
    if style is None:
        return ""
    colour = COLOURS.get((style.color and style.color.number) or 0, "")
    names = ("bold" if style.bold else "", "dim" if style.dim else "", colour)
    return f' class="{" ".join(filter(None, names))}"' if any(names) else ""
