"""What a Python function returns: the keys of --json as attributes, and every form of output."""

import io
import json
import os
import random
from base64 import b64encode
from collections.abc import Mapping
from html import escape
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from gradcli.commands import Command
from gradcli.errors import UsageError, printable
from gradcli.options.fill import from_words
from gradcli.options.shared import OutputOptions
from gradcli.world import World


class Record(dict[str, Any]):
    """A part of a result: its keys are items, and attributes where no method has that name."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(f"there is no {name!r}; there are {', '.join(self)}") from None


class Result:
    """What was computed. The keys of `gradcli COMMAND --json` are its attributes.

    Tensors are detached and on the CPU, in the dtype of the call and in the shape that the command's
    page gives; an input that was a tensor may share its memory. Where a key has the name of a method,
    as `code` of `why` and `latex` of `derive`, the attribute is the key.
    """

    def __init__(
        self, command: Command, request: Any, result: Any, tree: dict[str, Any],
        tables: Mapping[str, Any],
    ) -> None:  # fmt: skip
        vars(self).update(_records(tree))
        self._command, self._request, self._result = command, request, result
        self._tree, self._tables = tree, tables

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"there is no {name!r}; there are {', '.join(vars(self).get('_tree', ()))}"
        )

    def __str__(self) -> str:
        return self.text().rstrip("\n")

    def __repr__(self) -> str:
        return "\n".join([str(self), *self._notes])

    def text(self, **form: Any) -> str:
        """The text that the command writes with these options of output: `csv=True`, `full=True`.

        Raises UsageError for an option that the command does not have, or that does not fit.
        """
        return self._bytes(form).decode()

    def json(self) -> Any:
        """The object of --json, read by json.loads: lists instead of tensors, "NaN" instead of nan."""
        return json.loads(self._bytes({"json": True})) if self._result else self._tree

    def get(self, path: str) -> Any:
        """The value at a path as --get has it: `gradients.w`, `value.0`, `functions.0.value`.

        Raises UsageError for a path that does not exist.
        """
        from gradcli import result_paths

        return result_paths.find(self._tree, path, "path")

    def csv(self) -> str:
        """The text of --csv."""
        return self.text(csv=True)

    def code(self) -> str:
        """The PyTorch program of --code, which prints these numbers."""
        return self.text(code=True)

    def graph(self, form: str = "tree") -> str:
        """The autograd graph of --graph: `tree`, `dot` or `mermaid`."""
        return self.text(graph=form)

    def markdown(self) -> str:
        """The text of --markdown: the tables, and the notes below them."""
        return self.text(markdown=True)

    def latex(self) -> str:
        """The text of --latex."""
        return self.text(latex=True)

    def html(self) -> str:
        """The text of --html: a fragment of a page."""
        return self.text(html=True)

    def save(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Write the file of --out; the suffix of `path` chooses what it holds. A picture may have the
        `options` `title` and `size`, such as "7x4.2".

        Raises UsageError for a suffix that the command does not write, FileError if that fails.
        """
        from gradcli.cli.outfile import OutFile

        with OutFile(os.fspath(path)) as file:
            self._bytes({"out": os.fspath(path), **options}, file.temporary)
            file.put_in_place()

    def _repr_markdown_(self) -> str:
        return self.markdown()

    def _repr_html_(self) -> str:
        """The picture, if there is one, and the tables; those of a plot only with evidence."""
        picture = self._picture("svg")
        if not picture:
            return self.html()
        source = f"data:image/svg+xml;base64,{b64encode(picture).decode()}"
        image = f'<img src="{source}" alt="{self.command}" style="width:42em;max-width:100%">\n'
        from gradcli.results import part

        drawn = hasattr(part(self._result, "show"), "picture")
        if drawn and not getattr(self._request, "wanted", False):
            return image + "".join(f"<p>{escape(note)}</p>\n" for note in self._notes)
        return image + self.html()

    def _repr_png_(self) -> bytes | None:
        return self._picture("png")

    def _picture(self, form: str) -> bytes | None:
        """The picture; None if the command has none, or matplotlib is not installed."""
        if not self._request.pictures or find_spec("matplotlib") is None:
            return None
        from gradcli.api.caller import undisturbed

        load_matplotlib()
        from gradcli.show.pictures import figure

        file = io.BytesIO()
        with undisturbed():
            figure.write(self._result, form, file, None, None)
        return file.getvalue()

    @property
    def _notes(self) -> list[str]:
        notes = vars(self).get("notes", ())
        return [f"note: {printable(note.text)} [{note.code}]" for note in notes]

    def _bytes(self, form: dict[str, Any], temporary: str = "") -> bytes:
        chance = random.getstate()
        try:
            return self._shown(form, temporary)
        finally:
            random.setstate(chance)  # rich draws a number when it is loaded

    def _shown(self, form: dict[str, Any], temporary: str) -> bytes:
        for name in form:
            if name not in self._command.output:
                raise UsageError(f"{self._command.name} has no form {name!r}")
        shown = from_words(OutputOptions, [], form, str)
        if not temporary or shown.tables_in_file(self._request):
            shown = from_words(OutputOptions, [], {**self._tables, **form}, str)
        if temporary:  # elsewhere it would refuse to leave the ledger of --explain out
            shown.check_with(self._request)
        page = self._command.page
        text = page(self._request, shown, nowhere(), no_stdin) if page else None
        if isinstance(text, str):
            if temporary:
                with open(temporary, "w", encoding="utf-8") as file:
                    file.write(text)
            return text.encode()
        from gradcli.api.caller import undisturbed
        from gradcli.commands.forms import show

        if shown.is_picture(self._request):
            load_matplotlib()
        with undisturbed(self._request.device):
            return show(self._request, self._result, shown, nowhere(), temporary)[0]


def _records(tree: Any) -> Any:
    if isinstance(tree, dict):
        return Record({name: _records(item) for name, item in tree.items()})
    return [*map(_records, tree)] if isinstance(tree, list) else tree


def load_matplotlib() -> None:
    """Load matplotlib as the caller would: alone, gradcli loads it without the settings of the user."""
    if find_spec("matplotlib"):
        import_module("matplotlib.font_manager")


def nowhere() -> World:
    """The surroundings of a function: no standard input, natural width, no colour."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    return World(stdin=None, stdout=stream, stderr=stream, environ={}, width=None)


def no_stdin() -> str:
    """Refuse to read standard input, which belongs to the caller."""
    raise UsageError(
        "a function does not read standard input", hint="give it the numbers or the text"
    )
