"""What `gradcli why` answers without PyTorch: the list of mistakes, and the program that makes
one.
"""

import json
from collections.abc import Callable

from gradcli import result_paths
from gradcli.commands.why.request import Why, listing
from gradcli.errors import UsageError
from gradcli.options.shared import OutputOptions
from gradcli.world import World


def page(
    request: Why, shown: OutputOptions, world: World, read_stdin: Callable[[], str]
) -> str | None:
    """The text for standard output; None where a mistake is to be run.

    Raises UsageError where no mistake is known by the name or text, or where --code is given without one, and for a path of
    --get that is not there.
    """
    nothing = str  # standard input that nobody feeds is not waited for
    meant = request.find(read_stdin if request.words or world.stdin_is_fed else nothing)
    if meant is not None:
        return meant.mistake.code if shown.code else None
    if shown.code:
        raise UsageError("--code needs the name of a mistake", hint="gradcli why no-grad --code")
    if not (shown.json or shown.out or shown.get is not None):
        return _list(world)
    found: object = {
        "mistakes": [
            {"name": name, "family": family, "title": title}
            for family, rows in listing().items()
            for name, title in rows
        ]
    }
    if shown.get is not None:
        found = result_paths.find(found, shown.get)
    return (found if isinstance(found, str) else json.dumps(found, separators=(",", ":"))) + "\n"


def _list(world: World) -> str:
    from gradcli.page import HelpPage  # rich, which errors and programs do without

    sheet = HelpPage(world)
    sheet.line(
        "Common autograd mistakes. gradcli why NAME reproduces and fixes one; paste an error to find its name."
    )
    for family, rows in listing().items():
        sheet.rows(family, rows)
    return sheet.text
