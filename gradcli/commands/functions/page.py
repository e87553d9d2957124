"""The answer of `functions` that needs no PyTorch: the whole catalogue, as tables by family."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from gradcli.commands.functions.request import Functions, facts, families
from gradcli.options.shared import MARKUPS, OutputOptions
from gradcli.show.markup import written
from gradcli.world import World

if TYPE_CHECKING:
    from gradcli.show.document import Part

COLUMNS = ("name", "formula", "range", "derivative", "torch")
"""The columns of the tables, by the key of `facts`."""

HALVES = (COLUMNS[:3], (COLUMNS[0], *COLUMNS[3:]))
"""The columns of the two blocks on a terminal that is too narrow for all."""

_HEADINGS = {"torch": "PyTorch"}
"""The headings that differ from the key."""

_FOOTER = (
    "x: input of an activation. pred, target: one element of a loss, or one row of it."
    " gradcli functions NAME: more"
)


def page(
    request: Functions, shown: OutputOptions, world: World, read_stdin: Callable[[], str]
) -> str | None:
    """The tables of the catalogue; None if the measured slopes at kinks are part of the answer."""
    if request.name is not None:
        return None
    if form := shown.markup or MARKUPS.get(shown.out_suffix, ""):
        return written(form, _document())
    if shown.out_suffix == ".svg":
        from gradcli.show import screen

        return screen.draw(_catalogue, world)
    return None if shown.json or shown.out or shown.get is not None else _catalogue(world)


def _catalogue(world: World) -> str:
    """The tables for a terminal."""
    blocks = []
    for family, entries in families().items():
        rows = list(map(facts, entries))
        natural = sum(3 + max(len(str(row[key])) for row in rows) for key in COLUMNS) + 1
        narrow = world.width is not None and natural > world.width
        for columns in HALVES if narrow else (COLUMNS,):
            blocks.append(_block(family, rows, columns, world))
    return "\n".join(blocks) + f"\n{_FOOTER}\n"


def _document() -> list["Part"]:
    """The catalogue for another page: a table for each family."""
    from gradcli.show.document import Prose, TextColumn, Texts, TextTable

    parts: list[Part] = []
    for family, entries in families().items():
        rows = list(map(facts, entries))
        columns = [
            TextColumn(
                _HEADINGS.get(key, key), [Texts([[row[key] or "" for row in rows]])], False, True
            )
            for key in COLUMNS
            if any(row[key] for row in rows)
        ]
        parts.append(TextTable(columns, family))
    return [*parts, Prose(_FOOTER)]


def _block(
    family: str, rows: Sequence[dict[str, Any]], columns: Sequence[str], world: World
) -> str:
    from rich.table import Table
    from rich.text import Text

    from gradcli.page import Page, frame

    columns = [key for key in columns if any(row[key] is not None for row in rows)]
    table = Table(
        title=Text(family, style="bold"), title_justify="left", border_style="dim", header_style="bold cyan",
        box=frame(ascii_only=world.ascii_only), show_lines=False,
    )  # fmt: skip
    for key in columns:
        table.add_column(
            Text(_HEADINGS.get(key, key)), no_wrap=key in ("name", "torch"), overflow="fold"
        )
    for row in rows:
        table.add_row(*(Text(row[key] or "") for key in columns))
    page = Page(colour=world.colour(world.stdout), width=world.width)
    page.draw(table)
    return page.text
