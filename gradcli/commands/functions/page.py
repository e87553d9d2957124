"""What `gradcli functions` answers without PyTorch: the whole catalogue, as tables by family."""

from collections.abc import Callable, Sequence
from typing import Any

from gradcli.commands.functions.request import Functions, facts, families
from gradcli.options.shared import OutputOptions
from gradcli.world import World

COLUMNS = (
    ("name", "name"),
    ("formula", "formula"),
    ("range", "range"),
    ("derivative", "derivative"),
    ("torch", "PyTorch"),
)
"""The columns of the tables: the key of a fact, and its heading."""

HALVES = (COLUMNS[:3], (COLUMNS[0], *COLUMNS[3:]))
"""The columns of the two blocks in which a terminal shows them that is too narrow for all."""


def page(
    request: Functions, shown: OutputOptions, world: World, read_stdin: Callable[[], str]
) -> str | None:
    """The tables of the catalogue; None where slopes at kinks are asked for, which PyTorch
    measures.
    """
    if request.name is not None or shown.json or shown.out or shown.get is not None:
        return None
    found = {family: [facts(entry) for entry in entries] for family, entries in families().items()}
    return (
        "\n".join(_table(family, members, world) for family, members in found.items()) + _footer()
    )


def _footer() -> str:
    return "\nx: input of an activation. pred, target: one element of a loss, or one row of it. gradcli functions NAME: more\n"


def _table(family: str, members: Sequence[dict[str, Any]], world: World) -> str:
    """One family, in as many blocks as the width demands."""
    natural = sum(3 + max(len(str(fact[key])) for fact in members) for key, _ in COLUMNS) + 1
    narrow = world.width is not None and natural > world.width
    return "\n".join(
        _block(family, members, columns, world) for columns in (HALVES if narrow else (COLUMNS,))
    )


def _block(
    family: str, members: Sequence[dict[str, Any]], columns: Sequence[tuple[str, str]], world: World
) -> str:
    from rich.table import Table
    from rich.text import Text

    from gradcli.page import Page, frame

    sheet = Page(colour=world.colour(world.stdout), width=world.width)
    present = [
        (key, heading) for key, heading in columns if any(fact[key] is not None for fact in members)
    ]
    table = Table(
        title=Text(family, style="bold"), title_justify="left", border_style="dim", header_style="bold cyan",
        box=frame(ascii_only=world.ascii_only), show_lines=False,
    )  # fmt: skip
    for key, heading in present:
        table.add_column(Text(heading), no_wrap=key in ("name", "torch"), overflow="fold")
    for fact in members:
        table.add_row(*(Text("" if fact[key] is None else fact[key]) for key, _ in present))
    sheet.draw(table)
    return sheet.text
