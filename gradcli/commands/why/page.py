"""The answers of `why` that need no PyTorch: the list of mistakes, and the program of one."""

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from gradcli import result_paths
from gradcli.catalogue.mistakes import MISTAKES
from gradcli.commands.why.request import Why, listing
from gradcli.errors import FileError, UsageError, printable, system_reason
from gradcli.options.shared import MARKUPS, OutputOptions
from gradcli.show.markup import written
from gradcli.world import World

if TYPE_CHECKING:
    from gradcli.show.document import Part


def page(
    request: Why, shown: OutputOptions, world: World, read_stdin: Callable[[], str]
) -> str | None:
    """The text for standard output; None if a mistake, or with --run a program, is to be run.

    Raises UsageError for an unknown mistake, for --code without one, and for an unknown --get path;
    FileError for a program that cannot be read.
    """
    if request.run is not None:
        _check_program(request.run, shown)
        return None
    empty = str  # instead of waiting for a standard input that is neither a pipe nor a file
    found = request.find(read_stdin if request.words or world.stdin_is_fed else empty)
    if found is not None:
        return found.mistake.code if shown.code else None
    if shown.code:
        raise UsageError("--code needs the name of a mistake", hint="gradcli why no-grad --code")
    if form := shown.markup or MARKUPS.get(shown.out_suffix, ""):
        return written(form, _document())
    if shown.out_suffix == ".svg":
        from gradcli.show import screen

        return screen.draw(_list, world)
    if not (shown.json or shown.out or shown.get is not None):
        return _list(world)
    mistakes = [
        {"name": name, "family": family, "title": title}
        for family, rows in listing().items()
        for name, title in rows
    ]
    value: object = {"mistakes": mistakes}
    if shown.get is not None:
        value = result_paths.find(value, shown.get)
    return (value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))) + "\n"


def _check_program(file: str, shown: OutputOptions) -> None:
    if shown.code:
        raise UsageError("--code does not apply to --run", hint="gradcli why no-grad --code")
    try:
        with open(file, "rb") as program:
            program.read(1)
    except (OSError, ValueError) as error:
        reason = system_reason(error) if isinstance(error, OSError) else str(error)
        message = f"--run: {printable(file)!r} cannot be read: {reason}"
        raise FileError(message, hint="gradcli why --run FILE.py") from None


_INTRODUCTION = (
    f"{len(MISTAKES)} common autograd mistakes. gradcli why NAME reproduces and fixes one. To find the name, "
    "paste an error, or say what you see: gradcli why loss is nan."
)


def _document() -> list["Part"]:
    """The list for another page."""
    from gradcli.show.document import Heading, Listing, Prose

    parts: list[Part] = [Prose(_INTRODUCTION)]
    for family, rows in listing().items():
        parts += [Heading(family), Listing(rows)]
    return parts


def _list(world: World) -> str:
    from gradcli.page import HelpPage  # rich, which errors and programs do not need

    page = HelpPage(world)
    page.line(_INTRODUCTION)
    for family, rows in listing().items():
        page.rows(family, rows)
    return page.text
