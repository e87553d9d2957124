"""From a result to bytes: the chosen form of output, the notes, and the file of `--out`."""

from typing import TYPE_CHECKING, Any

from gradcli.errors import FileError, printable
from gradcli.options.shared import OutputOptions
from gradcli.results import Result, part
from gradcli.show import json
from gradcli.world import World

if TYPE_CHECKING:
    from gradcli.show.pictures.plotter import Window
    from gradcli.show.terminal import Style


def show(
    request: Any, result: Any, shown: OutputOptions, world: World, temporary: str
) -> tuple[bytes, str]:
    """The bytes for standard output, and the notes for standard error.

    With `--out` the file `temporary` is written first. Raises FileError if that fails, UsageError
    for a path or a main array that does not exist.
    """
    if shown.code:
        from gradcli.show.program.script import program

        return program(request, result).encode(), ""
    if shown.graph is not None:
        from gradcli.show.graph import graph

        return graph(result, shown.graph, ascii_only=world.ascii_only).encode(), ""
    if temporary:
        _write(result, shown, temporary)
    notes = result.notes if isinstance(result, Result) and not (shown.quiet or shown.json) else []
    lines = [f"note: {printable(note.text)} [{note.code}]\n" for note in notes]
    return _form(result, shown, world), "".join(lines)


def line(answer: tuple[bytes, Result]) -> bytes:
    """The result line of a batch job, from its id as JSON and its result; without a line end."""
    identity, result = answer
    return identified(json.encode(result), identity)


def identified(text: bytes, identity: bytes) -> bytes:
    """The JSON of a result with the id of its job, both as JSON."""
    return b'%b,"id":%b}' % (text[:-1], identity)


def _form(result: Any, shown: OutputOptions, world: World) -> bytes:
    if shown.json:
        return json.render(result)
    if shown.get is not None:
        return json.render_path(result, shown.get)
    if shown.latex:
        return _encoded(part(result, "show").latex(result), world)
    if shown.csv:
        from gradcli.show import csv

        return csv.render(result)
    if shown.out is not None:
        return _encoded(f"wrote {printable(shown.out)}\n", world)
    return _encoded(_screen(result, shown, world), world)


def _screen(result: Any, shown: OutputOptions, world: World) -> str:
    """The text for a terminal: the command's own page, or its picture or tables, then evidence."""
    view = part(result, "show")
    if hasattr(view, "page"):
        return str(view.page(result, _style(shown, world), _window(world)))
    found = (result.ledger, result.forward, result.check, result.expect)
    evidence = any(each is not None for each in found)
    picture = ""
    if hasattr(view, "picture"):
        picture = str(view.picture(result, _window(world), shown.precision))
        if not evidence:
            return picture
    from gradcli.show import terminal  # rich, which the other forms do not need

    tables = [] if picture else [*view.tables(result, shown.precision)]
    if evidence:
        from gradcli.evidence.tables import evidence_tables

        tables += evidence_tables(result, shown.precision)
    text = terminal.render(tables, _style(shown, world))
    return f"{picture}\n{text}" if picture else text


def _style(shown: OutputOptions, world: World) -> "Style":
    from gradcli.show.terminal import Style

    return Style(
        width=world.width,
        colour=world.colour(world.stdout),
        ascii_only=world.ascii_only,
        digits=shown.precision,
        full=shown.full,
    )


def _window(world: World) -> "Window":
    """The size of a picture of characters: the terminal, less the line of the next prompt."""
    from gradcli.show.pictures.plotter import Window

    return Window(
        width=world.width or Window.width,
        height=world.height - 1 if world.height else Window.height,
        colour=world.colour(world.stdout),
        ascii_only=world.ascii_only,
    )


def _encoded(text: str, world: World) -> bytes:
    return text.encode(world.stdout.encoding or "utf-8", "replace")


def _write(result: Any, shown: OutputOptions, path: str) -> None:
    from gradcli.show import archive

    try:
        with open(path, "wb") as file:
            archive.write(result, shown, file)
    except OSError as error:
        reason = (error.strerror or "the disk is full").lower()  # NumPy gives no reason
        message = f"--out: {shown.out!r} cannot be written: {reason}"
        raise FileError(message, hint="see df and ulimit -f") from None
