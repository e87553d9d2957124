"""What a function takes, from the fields of its request: its signature and its documentation."""

import re
from collections.abc import Iterator
from dataclasses import MISSING
from inspect import Parameter, Signature, cleandoc
from textwrap import fill
from typing import Any

from gradcli.commands import Command
from gradcli.options.fields import Option, options

TABLES = ("precision", "full")
"""The options of output that a function takes: the others are methods of the result."""
ELSEWHERE = {
    "timeout": "a call here has no time limit, and can be interrupted",
    "run": "a program needs a process of its own: gradcli why --run FILE.py",
    "quiet": "nothing is printed; the notes are in the result",
    "get": "the result has get(path)",
    "out": "the result has save(path)",
}
"""Options of the command line that a function does not have, and what there is instead."""
WIDTH = 96
_OF_TENSORS = {"dtype": "float32", "device": "cpu"}
"""The options whose default is that of the tensors given, and what it is without these."""


def signature(command: Command) -> Signature:
    """The parameters of a function: bare words, options, options of tables, inputs."""
    return Signature([*_parameters(command)], return_annotation=_Written("Result"))


def keywords(command: Command) -> dict[str, Option]:
    """The options that a function takes as keywords only."""
    tables = {name: command.output[name] for name in TABLES if name in command.output}
    known = options(command.request) | tables
    return {n: o for n, o in known.items() if not o.positional and n not in ELSEWHERE}


def takes_inputs(command: Command) -> bool:
    """Whether any NAME=T may be an input, not only options."""
    return any(each.many and each.kind.outside for each in options(command.request).values())


def documentation(command: Command) -> str:
    """The docstring of a function."""
    words = {n: o for n, o in options(command.request).items() if o.positional}
    lines = [_listed(name, each) for name, each in (words | keywords(command)).items()]
    named = "Other keywords are inputs. " if takes_inputs(command) else ""
    about = fill(
        f"{named}An input is a number, a nested list, a NumPy array, a tensor of any shape, or a literal "
        "as text. Tensors of the result are detached and on the CPU, in `dtype`; its attributes are the "
        f"keys of `gradcli {command.name} --json`.",
        WIDTH,
    )
    raises = "Raises GradcliError, with its message, place and hint."
    summary = _in_python(cleandoc(command.request.__doc__ or ""))
    return "\n\n".join([summary, "\n".join(lines), about, raises])


class _Written(str):
    """An annotation that a signature shows without quotation marks."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _parameters(command: Command) -> Iterator[Parameter]:
    words = [each for each in options(command.request).items() if each[1].positional]
    for name, option in words:
        if not option.many:
            yield _parameter(name, option, Parameter.POSITIONAL_OR_KEYWORD)
    if many := [name for name, option in words if option.many]:
        name = many[0] if many[0] != "inputs" else "words"
        yield Parameter(name, Parameter.VAR_POSITIONAL, annotation=_Written("Any"))
    if takes_inputs(command):
        kind = _Written("Mapping[str, Tensorlike] | None")
        yield Parameter("inputs", Parameter.KEYWORD_ONLY, default=None, annotation=kind)
    for name, option in keywords(command).items():
        yield _parameter(name, option, Parameter.KEYWORD_ONLY)
    if takes_inputs(command):
        yield Parameter("named", Parameter.VAR_KEYWORD, annotation=_Written("Tensorlike"))


def _parameter(name: str, option: Option, kind: Any) -> Parameter:
    python = f"Literal{[*option.choices]}" if option.choices else option.kind.python
    if option.repeatable and "Sequence" not in python:
        python += f" | Sequence[{python}]"
    if name in _OF_TENSORS:
        python += f" | torch.{name}"
    plain = isinstance(option.default, bool | int | float | str) and name not in _OF_TENSORS
    default = option.default if plain else None
    if option.default is MISSING:
        default = Parameter.empty
    elif not plain:
        python += " | None"
    return Parameter(name, kind, default=default, annotation=_Written(python))


def _in_python(text: str) -> str:
    """A text of help with the options as keywords: `with_gradient` for `--with-gradient`."""
    return re.sub(r"--([a-z][a-z-]*)", lambda found: found[1].replace("-", "_"), text)


def _listed(name: str, option: Option) -> str:
    text = _in_python(option.help)
    shown = _OF_TENSORS.get(name, option.shown_default)
    if name in _OF_TENSORS:
        shown += ", or that of the tensors given"
    text = f"{name}: {text}{f' (default: {shown})' if shown else ''}"
    return fill(text, WIDTH, initial_indent="    ", subsequent_indent="        ")
