"""`%load_ext gradcli`: each command as a magic of IPython, with the words of the shell.

`x={EXPR}` and `x=$NAME` give the object of the notebook itself; within a longer word they are filled in
as text, as IPython does.
"""

import ast
import re
import shlex
from contextlib import suppress
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

_OPENING = re.compile(r"\{\{|\{|\$(\w+)(?![\w.])")
_MARK = re.compile(r"\x01(\d+)\x01")
"""Stands for an object while the words are read: its place among those `held`, between two
characters that no line has."""


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
    held: list[Any] = []
    try:
        typed = shlex.split(_marked(line, shell, held))
    except ValueError as error:
        raise UsageError(f"the line cannot be split into words: {error}".lower()) from None
    if {"-h", "--help"} & {*typed}:
        print(documentation(command))
        return None
    bare, given = words.parse(command, [str(shell.var_expand(word)) for word in typed])
    options = {name: _option(value, held) for name, value in given.items() if value}
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


def _marked(line: str, shell: Any, held: list[Any]) -> str:
    """The line with a mark for each `{EXPR}` and `$NAME`, whose objects are kept in `held`. What is no
    expression or no name of the notebook stays, as does the doubled brace that stands for one.
    """
    pieces, stop = [""], 0
    for opening in _OPENING.finditer(line):
        expression, end = opening[1] if opening[1] in shell.user_ns else "", opening.end()
        if opening[0] == "{":
            expression = _expression(line[end:])
            end += len(expression) + 1
        if opening.start() < stop or not expression:
            continue
        try:
            held.append(shell.ev(expression))
        except Exception as error:
            message = f"{{{expression}}}: {type(error).__name__}: {error}"
            raise UsageError(message, hint="a brace that is text is written {{") from None
        pieces += [line[stop : opening.start()], f"\x01{len(held) - 1}\x01"]
        stop = end
    return "".join([*pieces, line[stop:]])


def _expression(text: str) -> str:
    """The expression of Python before the first closing brace that can end one; empty without one."""
    for closing in re.finditer(r"\}", text):
        with suppress(SyntaxError, ValueError):
            ast.parse(text[: closing.start()].strip(), mode="eval")
            return text[: closing.start()]
    return ""


def _filled(text: str, held: list[Any]) -> Any:
    """The object whose mark is all of a text; otherwise the text, with objects as text."""
    if found := _MARK.fullmatch(text):
        return held[int(found[1])]
    return _MARK.sub(lambda found: str(held[int(found[1])]), text)


def _option(value: Any, held: list[Any]) -> Any:
    """The value of an option; of one that may be repeated, texts, one object or several by name."""
    if not isinstance(value, list):
        return _filled(value, held) if isinstance(value, str) else value
    pairs = [(name.strip(), text.strip()) for name, _, text in (v.partition("=") for v in value)]
    if any(_MARK.fullmatch(text) for _, text in pairs):
        return {name: _filled(text, held) for name, text in pairs}
    filled = [_filled(text, held) for text in value]
    return filled[0] if _MARK.fullmatch(value[0]) else filled


def _named(word: str, held: list[Any]) -> Any:
    """A word, an object that is one, or an input NAME=T whose value is an object."""
    name, _, text = word.partition("=")
    if not _MARK.fullmatch(text) or isinstance(value := _filled(text, held), str):
        return _filled(word, held)
    return NamedValue(name, plain(value))


def _completed(command: Command, shell: Any, event: Any) -> list[str]:
    """The words that fit at the cursor, which is at the end of the event's line."""
    typed = event.line.split()[1:] + ([""] if event.line[-1:].isspace() else [])
    return [candidate.word for candidate in candidates([command.name, *typed])]
