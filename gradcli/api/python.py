"""A Python function for each command that computes: words and keywords in, a `Result` out."""

import json
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from typing import Any

from gradcli.api import signatures
from gradcli.api.answer import Result, no_stdin, nowhere
from gradcli.api.given import kept, listed, plain, setting
from gradcli.api.signatures import ELSEWHERE, TABLES, takes_inputs
from gradcli.commands import COMMANDS, Command
from gradcli.errors import GradcliError, UsageError
from gradcli.language.source import NamedValue, Source, ValueSource
from gradcli.language.suggest import did_you_mean
from gradcli.options.fields import TENSOR, options
from gradcli.options.fill import from_words
from gradcli.options.inputs import check_name
from gradcli.options.shared import ComputeOptions, OutputOptions

__all__ = ["FUNCTIONS", "GradcliError", "Result", "function"]

FUNCTIONS = {
    name.replace("-", "_"): command
    for name, command in COMMANDS.items()
    if find_spec(f"{command.folder}.compute")
}
"""The commands that compute, by the names of their functions."""


@cache
def function(name: str) -> Callable[..., Result]:
    """The function of that name. Raises KeyError if there is none."""
    command = FUNCTIONS[name]

    def call(*words: Any, **given: Any) -> Result:
        return compute(command, *request_of(command, words, given), given)

    call.__name__ = call.__qualname__ = name
    call.__module__ = "gradcli"
    call.__doc__ = signatures.documentation(command)
    call.__signature__ = signatures.signature(command)  # type: ignore[attr-defined]
    return call


def compute(
    command: Command, request: Any, tables: Mapping[str, Any], typed: Iterable[str] = ()
) -> Result:
    """The result of a request, computed in this process; `typed` are the keywords that were given.

    Raises GradcliError.
    """
    shown = from_words(OutputOptions, [], tables, str)
    shown.check_with(request)
    page = command.page
    text = page(request, OutputOptions(json=True), nowhere(), no_stdin) if page else None
    if isinstance(text, str):
        return Result(command, request, None, json.loads(text), tables)
    # The language of expressions, then PyTorch as the caller has it or would load it.
    import torch  # noqa: F401

    from gradcli import result_paths
    from gradcli.api.caller import undisturbed
    from gradcli.commands import dispatch
    from gradcli.options.check import check

    checked = check(request, no_stdin)
    if not request.runs_user_code:  # whose parameters are not known yet
        _check_inputs(command, checked.programs, typed)
    with undisturbed(request.device, user_code=request.runs_user_code):
        result = dispatch.compute(checked, lambda step, operands: None)
    return Result(command, request, result, result_paths.tree(result), tables)


def request_of(
    command: Command, words: Sequence[Any], given: Mapping[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """The request that a call makes, and its options of tables.

    Raises UsageError for a keyword that means nothing, and what `from_words` raises.
    """
    kind, known = command.request, options(command.request)
    tables = {n: listed(value) for n, value in given.items() if n in TABLES and value is not None}
    inputs: dict[str, Any] = {}
    settings: dict[str, Any] = {}
    bare = [_word(word, known) for word in words]
    named = kind.named if issubclass(kind, ComputeOptions) else lambda given: ()
    movable = named([*known])
    as_options = named([name for name in given if name in known and given[name] is not None])
    for name, value, from_mapping in _flat(given):
        option = None if name in ELSEWHERE else known.get(name)
        if value is None or (name in TABLES and not from_mapping):
            continue
        if from_mapping or option is None or name in movable:
            is_option = name in as_options
            if not is_option and not from_mapping and name not in movable:
                _check_keyword(name, command)
            target = settings if is_option else inputs
            if name in target:
                raise UsageError(f"the input {name} is given twice", hint="give each input once")
            target[name] = plain(value)
        elif option.positional:
            if words and not option.many:
                raise UsageError(f"{name} is given twice", hint=_as_input(name))
            more = value if option.many and isinstance(value, list | tuple) else [value]
            bare += [_word(each, known) for each in more]
        else:
            takes_arrays = option.kind.outside is not None
            settings[name] = plain(value) if takes_arrays else setting(value)
    if inputs and not takes_inputs(command):
        raise _unknown(next(iter(inputs)), command)
    values = [*inputs.values(), *settings.values()]
    values += [word.given for word in bare if isinstance(word, ValueSource | NamedValue)]
    settings = {n: v for n, v in kept(values).items() if n in known} | settings
    request = from_words(
        kind, bare, settings | {"full": tables.get("full")}, str, [*map(_named, inputs.items())]
    )
    return request, tables


def _flat(given: Mapping[str, Any]) -> Iterator[tuple[str, Any, bool]]:
    """The keywords in their order, and whether each comes from the mapping `inputs`."""
    for name, value in given.items():
        if name != "inputs" or value is None:
            yield name, value, False
            continue
        if not isinstance(value, Mapping):
            raise UsageError("inputs: expected a mapping", hint='inputs={"x": 1, "w": [1, 2]}')
        yield from ((str(key), item, True) for key, item in value.items())


def _word(value: Any, known: Mapping[str, Any]) -> str | Source:
    """A word as `from_words` takes it; an exception is its traceback as text."""
    if isinstance(value, str | Source):
        return value
    if isinstance(value, BaseException):
        return "".join(traceback.format_exception(value))
    if next(iter(known.values())).kind is TENSOR:
        return ValueSource(plain(value), "")
    message = f"expected a text, got {type(value).__name__}"
    raise UsageError(message, hint="such as gradcli.grad('mse(w*x, y)', x=1, w=2, y=1)")


def _named(item: tuple[str, Any]) -> Source:
    name, value = item
    check_name(name, name, "inputs")
    return Source(f"{name}={value}") if isinstance(value, str) else NamedValue(name, value)


def _check_keyword(name: str, command: Command) -> None:
    """Raise a UsageError for a keyword that is an option elsewhere, and so hardly an input."""
    if hint := getattr(command.request, "instead", {}).get(name):
        raise UsageError(f"{name} does not apply here", hint=hint)
    if name in ELSEWHERE or name in options(OutputOptions):
        hint = ELSEWHERE.get(name, f"the result has {name}()")
        message = f"{name} is not an option of a function"
        raise UsageError(message, hint=f"{hint}\n{_as_input(name)}")


def _as_input(name: str) -> str:
    """The hint for a keyword that is meant as an input, though it resembles an option."""
    return f"for an input of that name: inputs={{{name!r}: ..}}"


def _check_inputs(command: Command, programs: Sequence[Any], typed: Iterable[str]) -> None:
    """Raise a UsageError for a keyword that no expression reads, and that resembles an option."""
    known = signatures.keywords(command)
    read = {name for program in programs for name in (*program.names, *program.assigned)}
    for name in {*typed} - read - {"inputs", *options(command.request), *known} if programs else ():
        if hint := did_you_mean(name, known):
            message = (
                f"{command.name} has no option {name!r}, and its expression reads no such input"
            )
            raise UsageError(message, hint=f"{hint}\n{_as_input(name)}")


def _unknown(name: str, command: Command) -> UsageError:
    known = [*signatures.signature(command).parameters]
    hint = did_you_mean(name, known) or f"it has {', '.join(known)}"
    return UsageError(f"{command.name} has no option {name!r}", hint=hint)
