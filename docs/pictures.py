"""The pictures of docs/images: what the program prints on a colour terminal, and the files that it
writes. `python -m tests.docs.test_docs --update` makes them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from gradcli.show.screen import draw_lines

IMAGES = Path(__file__).parent / "images"


@dataclass(frozen=True)
class Picture:
    """One picture: its name, and the commands typed in it."""

    name: str
    commands: tuple[str, ...]

    @property
    def path(self) -> Path:
        """Where the picture lies."""
        return IMAGES / f"{self.name}.svg"


WRITTEN = (
    "gradcli plot gelu relu --out curves-of-two.svg",
    "gradcli descend '(x**2 + y - 11)**2 + (x + y**2 - 7)**2' x=-1 y=-1 --optimizer adam --lr 0.3 --out path.svg",
    "gradcli flow sigmoid tanh relu --out flow.svg",
)
"""Commands that write a picture of docs/images; the page that shows it has the same command."""
PICTURES = (
    Picture(
        "grad",
        (
            "gradcli grad 'mse(w*x + b, y)' x=1,2 w=3 b=0 y=1,1",
            "gradcli derive 'mse(X @ w, y)' X='randn(5,3)' w=1,2,3 y='ones(5)'",
        ),
    ),
    Picture("plot", ("gradcli plot gelu",)),
    Picture("contour", ("gradcli plot 'x**2 + 3*y**2' x=-2,2 y=-2,2",)),
    Picture(
        "steps", ("gradcli grad 'h = w*x + b; O = sigmoid(h); (O - t)**2 / 2' x=1 w=0.5 b=0 t=1",)
    ),
)


def draw(picture: Picture, outputs: Sequence[str]) -> str:
    """The SVG of a terminal that shows each command of `picture` with its output, ANSI colours
    included.
    """
    lines: list[Text] = []
    for command, output in zip(picture.commands, outputs, strict=True):
        lines += [*([Text()] if lines else []), Text.assemble(("$ ", "green"), (command, "bold"))]
        lines += Text.from_ansi(output.rstrip("\n")).split()
    return draw_lines(lines, "; ".join(picture.commands))
