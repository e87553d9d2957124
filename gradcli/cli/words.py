"""The words of one command line, parsed by Typer, from options declared by dataclass fields.

Only `-h` and `--` followed by a letter are options; every other word that begins with `-` is a
value, so that `softmax-jacobian -1,2` works.
"""

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Annotated, Any

import typer
from typer.core import TyperCommand
from typer.exceptions import TyperException

from gradcli.commands import Command
from gradcli.errors import UsageError
from gradcli.language.suggest import did_you_mean
from gradcli.options.fields import FLAG, TENSOR, Option, flag_name, flags
from gradcli.options.fill import Given
from gradcli.options.inputs import INPUTS, input_name
from gradcli.options.shared import ComputeOptions
from gradcli.options.split import check_values


def parse(command: Command, words: Sequence[str]) -> tuple[list[str], dict[str, Given]]:
    """The bare words and the options by field name of one command.

    Raises UsageError for an unknown option, one given twice, or one without its value.
    """
    known = flags(command.options)
    named = _named(command, words)
    tensors = [name for name, option in known.items() if option.kind is TENSOR]
    check_values(words, [*named, *tensors])
    try:
        words = [*_as_options(command, words, named, known)]
        # What Typer does after parsing, for each option that there is, is not needed.
        given, _, _ = parser(command).parse_args(_apart(words, known, command))
    except TyperException as error:
        hint = f"gradcli {command.name} --help lists the options"
        raise UsageError(_reworded(error), hint=hint) from None
    bare = list(given.pop("words") or ())
    order = [word.partition("=")[0] for word in words]
    names = sorted(given, key=lambda name: order.index(flag_name(name)))
    return bare, {name: given[name] for name in names}


def _named(command: Command, words: Sequence[str]) -> tuple[str, ...]:
    """The inputs with an option that these words may also give as NAME=T."""
    given = {word.partition("=")[0].removeprefix("--") for word in words if is_option(word)}
    return command.request.named(given) if issubclass(command.request, ComputeOptions) else ()


def _as_options(
    command: Command, words: Sequence[str], named: Sequence[str], known: Mapping[str, Option]
) -> Iterator[str]:
    """The words with each NAME=T of `named` as its option: `x=1` as `--x=1`.

    Raises UsageError for another NAME=T if all inputs of the command are options.
    """
    strict = bool(named) and not any(option.kind is INPUTS for option in command.options.values())
    rest = iter(words)
    for word in rest:
        if word == "--":
            after = list(rest)
            yield from (_as_option(value) for value in after if input_name(value) in named)
            yield word
            yield from (value for value in after if input_name(value) not in named)
            return
        name = input_name(word)
        if strict and name and name not in named:
            hint = did_you_mean(name, named) or f"its inputs are {', '.join(named)}"
            raise UsageError(f"{command.name} has no input {name!r}", hint=hint)
        yield _as_option(word) if name in named else word
        takes_value = word in known and known[word].kind is not FLAG
        if takes_value and (value := next(rest, None)) is not None:
            yield value


def _as_option(word: str) -> str:
    name, _, value = word.partition("=")
    return f"--{name.strip()}={value}"


@cache
def parser(command: Command) -> Any:
    """Typer's parser of one command; making it takes as long as using it, so it is kept. It is made
    of a signature, because the classes of Typer's options change from version to version.
    """
    parameters = [_parameter("words", list[str] | None, typer.Argument())]
    parameters += [
        _parameter(name, _type(option), typer.Option(flag_name(name)))
        for name, option in command.options.items()
        if not option.positional
    ]

    def declared(**given: Given) -> None:
        """Nothing: Typer reads its signature."""

    declared.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(command.name, cls=TyperCommand, add_help_option=False)(declared)
    made = typer.main.get_command(app)
    return made.make_parser(typer.Context(made))


def _parameter(name: str, kind: Any, info: Any) -> inspect.Parameter:
    default = False if kind is bool else None
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[kind, info]
    )


def _type(option: Option) -> Any:
    return bool if option.kind is FLAG else list[str] | None if option.repeatable else str | None


def is_option(word: str) -> bool:
    """Whether a word is an option by our rule."""
    return word == "-h" or (word[:2] == "--" and word[2:3].isalpha())


def _apart(words: Sequence[str], known: dict[str, Option], command: Command) -> list[str]:
    """The options, each one word with its value, and after `--` the bare words: Typer takes no value
    for an option.
    """
    given: list[str] = []
    bare: list[str] = []
    seen: set[str] = set()
    rest = iter(words)
    for word in rest:
        name, equals, _ = word.partition("=")
        if word == "--":
            bare += rest
        elif not is_option(word):
            bare.append(word)
        else:
            _check_option(name, words, known, command, seen)
            if not equals and known[name].kind is not FLAG:
                value = next(rest, "--")
                if is_option(value) or value == "--":
                    raise UsageError(f"{name} needs a value", hint=f"{name}=VALUE")
                word = f"{name}={value}"
            given.append(word)
    return [*given, "--", *bare]


def _check_option(
    name: str, words: Sequence[str], known: dict[str, Option], command: Command, seen: set[str]
) -> None:
    for field, hint in getattr(command.request, "instead", {}).items():
        if name == flag_name(field):
            raise UsageError(f"{name} does not apply here", hint=hint)
    if name not in known:
        hint = did_you_mean(name, [*known, "--help"])
        if "--run" in seen:
            hint = f"the arguments of the program come after --: -- {name}"
        elif _is_input(name.removeprefix("--"), words, command):
            hint = f"write the input as {name.removeprefix('--')}=T"
        raise UsageError(f"there is no option {name}", hint=hint)
    if name in seen and not known[name].repeatable:
        raise UsageError(f"{name} is given twice", hint="give it once")
    seen.add(name)


def _is_input(name: str, words: Sequence[str], command: Command) -> bool:
    """Whether a name is most likely that of an input: one letter, or in the expression."""
    text = " ".join(word for word in words if not is_option(word))
    likely = len(name) == 1 or name in re.findall(r"\w+", text)
    return likely and hasattr(command.request, "inputs")


def _reworded(error: TyperException) -> str:
    text = error.format_message().rstrip(".")
    return text[:1].lower() + text[1:]
