"""Arguments bound to parameters, as in `huber(delta=2)` and `zeros(2, 3)`: by position first, then by keyword."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import TypeVar

Argument = TypeVar("Argument")


def bind(
    name: str,
    parameters: Sequence[str],
    positional: Sequence[Argument],
    named: Iterable[tuple[str, Argument]],
    error: Callable[[str, Argument], Exception],
) -> Iterator[tuple[str, Argument]]:
    """Each argument of a call of `name` with its parameter, one at a time, so that the caller reads it before the next.

    Raises what `error` makes of a message and the argument where one is too many or given twice.
    """
    most = len(parameters)
    if len(positional) > most:
        takes = f"at most {most} argument{'s' * (most > 1)}" if most else "no arguments"
        raise error(f"{name} takes {takes}", positional[most])
    given: set[str] = set()
    for parameter, argument in chain(zip(parameters, positional, strict=False), named):
        if parameter in given:
            raise error(f"{parameter} is given twice", argument)
        given.add(parameter)
        yield parameter, argument
