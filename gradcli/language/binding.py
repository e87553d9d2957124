"""Arguments bound to parameters, as in `huber(delta=2)` and `zeros(2, 3)`: by position first, then
by keyword.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from gradcli.language.suggest import did_you_mean

T = TypeVar("T")


def bind(
    name: str,
    parameters: Sequence[str],
    arguments: Sequence[tuple[str, T]],
    error: Callable[[str, T, str], Exception],
) -> Iterator[tuple[str, T]]:
    """Each argument of a call of `name` with its parameter, one at a time, so that the caller reads
    it before the next.

    `arguments` come with their keyword or an empty text. Raises what `error` makes of a message, an
    argument and a hint, where an argument is too many, unknown or given twice.
    """
    most = len(parameters)
    positional = [argument for keyword, argument in arguments if not keyword]
    if len(positional) > most:
        takes = f"at most {most} argument{'s' * (most > 1)}" if most else "no arguments"
        raise error(f"{name} takes {takes}", positional[most], "")
    given: set[str] = set()
    for parameter, argument in [
        *zip(parameters, positional, strict=False),
        *filter(lambda pair: pair[0], arguments),
    ]:
        if parameter not in parameters:
            raise error(
                f"{name} has no parameter {parameter!r}",
                argument,
                did_you_mean(parameter, parameters),
            )
        if parameter in given:
            raise error(f"{parameter} is given twice", argument, "give each argument once")
        given.add(parameter)
        yield parameter, argument
