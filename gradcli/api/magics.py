"""`%load_ext gradcli`: each command as a magic of IPython, with the words of the shell.

`x={EXPR}` and `x=$NAME` give the object of the notebook itself; within a longer word they are filled in
as text, as IPython does.
"""

import re
import shlex
from functools import partial
from typing import Any

from gradcli.api.answer import Result
from gradcli.api.given import plain
from gradcli.api.python import FUNCTIONS, compute, request_of
from gradcli.api.signatures import TABLES, documentation
from gradcli.cli import words
from gradcli.commands import Command
from gradcli.commands.candidates import candidates
from gradcli.errors import GradcliError, UsageError
from gradcli.language.source import NamedValue

_OBJECT = re.compile(r"((?:[^={]+=)?)(?:\{(.+)\}|\$(\w+))", re.DOTALL)
"""A word whose whole value is an object of the notebook, after an option or a name."""
_MARK = "{}\0"
"""Stands for an object while the words are read; no word of a line can hold a NUL."""


def load_ipython_extension(shell: Any) -> None:
    """Add the magics, and the completion of their words, to an IPython shell."""
    from IPython.core.magic import no_var_expand

    for name, command in FUNCTIONS.items():
        magic = partial(_magic, command, shell)
        magic.__doc__ = documentation(command)
        shell.register_magic_function(no_var_expand(magic), "line", name)
        shell.set_hook("complete_command", partial(_completed, command), str_key=f"%{name}")


def _magic(command: Command, shell: Any, line: str) -> Result | None:
    """The result of a line, which the cell shows; None where its form was printed."""
    try:
        return _answer(command, shell, line)
    except GradcliError as error:
        told = f"error: {error}"
        error._render_traceback_ = lambda: [told]  # type: ignore[attr-defined]  # IPython asks for it
        raise


def _answer(command: Command, shell: Any, line: str) -> Result | None:
    try:
        typed = shlex.split(line)
    except ValueError as error:
        raise UsageError(f"the line cannot be split into words: {error}".lower()) from None
    if {"-h", "--help"} & {*typed}:
        print(documentation(command))
        return None
    held: dict[str, Any] = {}
    bare, given = words.parse(command, [_filled(word, shell, held) for word in typed])
    options = {name: _held(value, held) for name, value in given.items() if value}
    forms = {n: options.pop(n) for n in list(options) if n in command.output and n not in TABLES}
    request, tables = request_of(command, [_named(word, held) for word in bare], options)
    result = compute(command, request, tables)
    if not forms:
        return result
    if out := forms.pop("out", None):
        result.save(out, **forms)
        print(f"wrote {out}")
    else:
        print(result.text(**forms), end="")
    return None


def _filled(word: str, shell: Any, held: dict[str, Any]) -> str:
    """A word with what is between braces, and after $, filled in; an object is kept in `held`."""
    if found := _OBJECT.fullmatch(word):
        mark = _MARK.format(len(held))
        held[mark] = shell.ev(found[2] or found[3])
        return f"{found[1]}{mark}"
    return str(shell.var_expand(word))


def _held(value: Any, held: dict[str, Any]) -> Any:
    if isinstance(value, list):  # of an option that may be repeated: texts, or one object
        return held.get(value[0], value)
    return held.get(value, value) if isinstance(value, str) else value


def _named(word: str, held: dict[str, Any]) -> Any:
    """A word, an object that is one, or an input NAME=T whose value is an object."""
    name, _, value = word.partition("=")
    if value not in held:
        return held.get(word, word)
    value = held[value]
    return f"{name}={value}" if isinstance(value, str) else NamedValue(name, plain(value))


def _completed(command: Command, shell: Any, event: Any) -> list[str]:
    """The words that fit at the cursor, which is at the end of the event's line."""
    typed = event.line.split()[1:] + ([""] if event.line[-1:].isspace() else [])
    return [candidate.word for candidate in candidates([command.name, *typed])]
