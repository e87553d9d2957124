"""What `gradcli why` answers without PyTorch: the list of mistakes, and the program that makes one."""

import json
from collections.abc import Callable

from gradcli.errors import UsageError
from gradcli.requests.shared import Shown
from gradcli.requests.why import Why, listing
from gradcli.world import World


def page(request: Why, shown: Shown, world: World, read_stdin: Callable[[], str]) -> str | None:
    """The text for standard output; None where a mistake is to be run.

    Raises UsageError where no mistake is known by the name or text, or where --code is given without one.
    """
    nothing = str  # standard input that nobody feeds is not waited for
    found = request.find(read_stdin if request.words or world.stdin_is_fed else nothing)
    if found is not None:
        return found.mistake.code if shown.code else None
    if shown.code:
        raise UsageError("--code wants the name of a mistake", cure="gradcli why no-grad --code")
    return _json() if shown.json else _list(world)


def _json() -> str:
    mistakes = [
        {"name": name, "family": family, "title": title} for family, rows in listing().items() for name, title in rows
    ]
    return json.dumps({"mistakes": mistakes}, separators=(",", ":")) + "\n"


def _list(world: World) -> str:
    from gradcli.cli.help import HelpPage  # rich, which errors and programs do without

    sheet = HelpPage(world)
    sheet.line("Mistakes of autograd. gradcli why NAME makes one and cures it; a pasted error finds its own.")
    for family, rows in listing().items():
        sheet.rows(family, rows)
    return sheet.text
