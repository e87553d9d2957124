"""Draws docs/images/*.svg: what the program prints on a colour terminal, as `python -m tests.test_docs --update` runs it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text

IMAGES = Path(__file__).parent / "images"


@dataclass(frozen=True)
class Picture:
    """One picture: its name, the width of the terminal in characters, and the commands typed in it."""

    name: str
    width: int
    commands: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Where the picture lies."""
        return IMAGES / f"{self.name}.svg"


PICTURES = (Picture("grad", 68, ("gradcli grad --fn mse --x 1 --w 2", "gradcli softmax-jacobian 2,1,0.1")),)


def draw(picture: Picture, outputs: Sequence[str]) -> str:
    """The SVG of a terminal that shows each command of `picture` with its output, ANSI colours included.

    The same text gives the same bytes, with the same release of rich.
    """
    console = Console(width=picture.width, record=True, file=StringIO(), force_terminal=True, color_system="standard",
                      legacy_windows=False)  # fmt: skip
    for number, (command, output) in enumerate(zip(picture.commands, outputs, strict=True)):
        if number:
            console.print()
        console.print(Text.assemble(("$ ", "bold green"), command))
        console.print(Text.from_ansi(output))
    svg = console.export_svg(title="gradcli", unique_id=f"gradcli-{picture.name}")
    # A picture in a page may load nothing, so the fonts that rich names by their web addresses would never come.
    svg = re.sub(r"\s*@font-face \{.*?\}", "", svg, flags=re.DOTALL)
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"
