"""Arguments bound to parameters by position, then by keyword: `huber(delta=2)`, `zeros(2, 3)`."""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from gradcli.language.suggest import did_you_mean

T = TypeVar("T")


def bind(
    name: str, parameters: Sequence[str], arguments: Sequence[tuple[str, T]],
    error: Callable[[str, T, str], Exception]
) -> Iterator[tuple[str, T]]:  # fmt: skip
    """Each argument of a call of `name` with its parameter, lazily: each is read before the next.

    `arguments` come with their keyword or an empty text. Raises what `error` returns for a message,
    an argument and a hint, if an argument is one too many, unknown or given twice.
    """
    most = len(parameters)
    positional = [argument for keyword, argument in arguments if not keyword]
    if len(positional) > most:
        takes = f"at most {most} argument{'s' * (most > 1)}" if most else "no arguments"
        raise error(f"{name} takes {takes}", positional[most], "")
    given: set[str] = set()
    named = [pair for pair in arguments if pair[0]]
    for parameter, argument in [*zip(parameters, positional, strict=False), *named]:
        if parameter not in parameters:
            hint = did_you_mean(parameter, parameters)
            raise error(f"{name} has no parameter {parameter!r}", argument, hint)
        if parameter in given:
            raise error(f"{parameter} is given twice", argument, "give each argument once")
        given.add(parameter)
        yield parameter, argument
