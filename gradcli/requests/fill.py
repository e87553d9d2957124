"""A request made from the words of a command line."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING
from typing import Any, TypeVar

from gradcli.errors import UsageError
from gradcli.requests.options import FLAG, Option, flag_name, options
from gradcli.text.source import Source

T = TypeVar("T")


def from_words(request: type[T], words: Sequence[str], given: Mapping[str, str | bool | None]) -> T:
    """The request of that type: `words` are the bare words in order, `given` the options by field name.

    Raises UsageError for a word too many or a required field that is missing, and what the fields' kinds raise.
    """
    values: dict[str, Any] = {}
    sources = [Source(word) for word in words]
    taken = 0
    for name, option in options(request).items():
        if not option.positional:
            text = given.get(name)
            if text is not None and text is not False:
                values[name] = True if option.kind is FLAG else option.kind.read(Source(str(text), flag_name(name)))
        elif option.many and len(sources) > taken:
            values[name] = option.kind.read_many(sources, taken)
            taken = len(sources)
        elif len(sources) > taken:
            values[name] = option.kind.read(sources[taken])
            taken += 1
        if name not in values and option.default is MISSING:
            raise _missing(name, option)
    if len(sources) > taken:
        extra = sources[taken]
        raise UsageError("one word too many", place=extra.span(0, len(extra.text)), cure="quote what belongs together")
    return request(**values)


def _missing(name: str, option: Option) -> UsageError:
    if option.positional:
        return UsageError(f"{option.kind.metavar} is missing: {option.help}")
    return UsageError(f"{flag_name(name)} is missing: {option.help}")
