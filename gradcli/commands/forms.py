"""From a result to bytes: the chosen form of output, the notes, and the file of `--out`."""

from typing import TYPE_CHECKING, Any

from gradcli.errors import FileError, printable
from gradcli.options.shared import MARKUPS, OutputOptions
from gradcli.results import Result, part
from gradcli.show import json
from gradcli.show.markup import written
from gradcli.world import World, is_terminal

if TYPE_CHECKING:
    from gradcli.show.pictures.plotter import Window
    from gradcli.show.table import Table
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
        _write(request, result, shown, world, temporary)
    form = shown.markup or MARKUPS.get(shown.out_suffix, "")
    in_result = shown.json or (form and not _formulas_alone(result, form))
    notes = [] if in_result else _notes(result, shown)
    lines = (line for note in notes for line in _wrapped(note, world))
    return _form(result, shown, world), "".join(f"{line}\n" for line in lines)


def _form(result: Any, shown: OutputOptions, world: World) -> bytes:
    if shown.json:
        return json.encode(result, b"\n")
    if shown.get is not None:
        return json.render_path(result, shown.get)
    if shown.markup:
        return _encoded(markup(result, shown.markup, shown), world)
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
    evidence = _evidence(result, shown.precision)
    picture = ""
    if hasattr(view, "picture"):
        picture = str(view.picture(result, _window(world), shown.precision))
        if not evidence:
            return picture
    from gradcli.show import terminal  # rich, which the other forms do not need

    tables = [] if picture else view.tables(result, shown.precision)
    text = terminal.render([*tables, *evidence], _style(shown, world))
    return f"{picture}\n{text}" if picture else text


def _evidence(result: Any, digits: int) -> list["Table"]:
    """The tables of --explain, --check and --expect, as far as these were asked for."""
    keys = ("ledger", "forward", "check", "expect")
    if all(getattr(result, key, None) is None for key in keys):
        return []
    from gradcli.evidence.tables import evidence_tables

    return evidence_tables(result, digits)


def markup(result: Any, form: str, shown: OutputOptions) -> str:
    """The result as text for another page, in one of the forms of MARKUPS: its tables or, of a
    command that has one, its `document`; then evidence and notes.
    """
    from gradcli.show.cells import parts
    from gradcli.show.document import Prose

    view, digits = part(result, "show"), shown.precision
    if _formulas_alone(result, form):
        return str(view.latex(result))
    drawn = getattr(view, "document", None) or view.tables
    every = [*drawn(result, digits), *_evidence(result, digits)]
    found = parts(every, _expressions(result), digits, full=shown.full)
    found += map(Prose, _notes(result, shown))
    return written(form, found, _ranks(result))


def _formulas_alone(result: Any, form: str) -> bool:
    """Whether the form holds formulas, and no tables or notes."""
    return form == "latex" and hasattr(part(result, "show"), "latex")


def _expressions(result: Any) -> set[str]:
    """The expressions that titles contain."""
    rows = [*(getattr(result, "ledger", None) or ()), *(getattr(result, "forward", None) or ())]
    subjects = [row.subject for row in rows if row.subject]
    own = {getattr(result, key, "") for key in ("expression", "layer")}
    return {*own, *(subject.title or subject.expression for subject in subjects)} - {"", None}


def _ranks(result: Any) -> dict[str, int]:
    """The number of dimensions of each input and named step."""
    named = {**getattr(result, "inputs", {}), **getattr(result, "intermediates", {})}
    return {name: getattr(each, "value", each).ndim for name, each in named.items()}


def _notes(result: Any, shown: OutputOptions) -> list[str]:
    """A line for each note, unless there shall be none."""
    notes = result.notes if isinstance(result, Result) and not shown.quiet else []
    return [f"note: {printable(note.text)} [{note.code}]" for note in notes]


def _wrapped(note: str, world: World) -> list[str]:
    """A note as it is told: one line, broken between words where a terminal is too narrow for it."""
    if world.width is None or len(note) <= world.width or not is_terminal(world.stderr):
        return [note]
    from gradcli.show.terminal import prose

    return prose(note, world.width)


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


def _write(request: Any, result: Any, shown: OutputOptions, world: World, path: str) -> None:
    from gradcli.show import archive

    suffix = shown.out_suffix
    try:
        with open(path, "wb") as file:
            if suffix in MARKUPS:
                file.write(markup(result, MARKUPS[suffix], shown).encode())
            elif shown.tables_in_file(request):
                from gradcli.show import screen

                drawn = screen.draw(lambda paper: _screen(result, shown, paper), world)
                file.write(drawn.encode())
            else:
                archive.write(result, shown, file)
    except OSError as error:
        reason = (error.strerror or "the disk is full").lower()  # NumPy gives no reason
        message = f"--out: {shown.out!r} cannot be written: {reason}"
        raise FileError(message, hint="see df and ulimit -f") from None
