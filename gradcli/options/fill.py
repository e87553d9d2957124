"""A request made from the words of a command line, or from the keys of a JSON job."""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING
from functools import cache
from typing import Any, TypeAlias, TypeVar

from gradcli.errors import UsageError
from gradcli.language.source import Source
from gradcli.language.suggest import did_you_mean
from gradcli.options.fields import FLAG, Option, flag_name, options
from gradcli.options.shared import OutputOptions
from gradcli.options.split import too_many

T = TypeVar("T")

Given: TypeAlias = str | bool | list[str] | None
"""The value of one option: its word, whether a flag is there, or all words of one that may be
repeated."""


def from_words(request: type[T], words: Sequence[str], given: Mapping[str, Given]) -> T:
    """The request of that type: `words` are the bare words in order, `given` the options by field
    name, in their order.

    A type with a field `order` is told the names of the options that were given, in their order.

    Raises UsageError for a word too many or a required field that is missing, and what the fields'
    kinds raise.
    """
    values: dict[str, Any] = {}
    sources = [Source(word) for word in words]
    places = [option for option in options(request).values() if option.positional]
    if len(words) > len(places) and not any(option.many for option in places):
        extra = sources[len(places)]
        raise too_many(words) or UsageError(
            "too many arguments",
            span=extra.span(0, len(extra.text)),
            hint="put quotes around what belongs together",
        )
    taken = 0
    for name, option in options(request).items():
        if not option.positional:
            text = given.get(name)
            if isinstance(text, list):
                values[name] = option.kind.read_many(
                    [Source(each, flag_name(name)) for each in text]
                )
            elif text is not None and text is not False:
                values[name] = (
                    True
                    if option.kind is FLAG
                    else option.kind.read(Source(str(text), flag_name(name)))
                )
        elif option.many and len(sources) > taken:
            values[name] = option.kind.read_many(sources, taken, request.__name__.lower())
            taken = len(sources)
        elif len(sources) > taken:
            values[name] = option.kind.read(sources[taken])
            taken += 1
        if name not in values and option.default is MISSING:
            raise _missing(name, option)
    if hasattr(request, "order"):
        values["order"] = tuple(name for name in given if name in values)
    return request(**values)


def from_json(request: type[T], job: Mapping[str, Any]) -> T:
    """The request of that type whose fields are the keys of `job`, with `-` or `_` in their names.

    Raises UsageError for an unknown or a missing key, and what the fields' kinds raise.
    """
    known = options(request)
    values: dict[str, Any] = {}
    for key, value in job.items():
        name = key.replace("-", "_")
        option = known.get(name)
        if name == "quiet":  # the notes are part of the object, as with --json
            if value is not None:
                FLAG.from_json(value, key)
            continue
        if option is None:
            if name in options(OutputOptions):
                raise UsageError(
                    f"a job cannot have {key!r}", hint="its output is one line of JSON"
                )
            hint = getattr(request, "instead", {}).get(name) or did_you_mean(name, known)
            raise UsageError(
                f"there is no key {key[:80]!r}", hint=hint or f"keys: {', '.join(known)}"
            )
        if value is not None:
            values[name] = option.kind.from_json(value, key, many=option.many or option.repeatable)
    kind: type = request
    required, defaults = _unsaid(kind)
    for name in required:
        if values.get(name, ()) == ():
            raise UsageError(f"{name} is missing: {known[name].help}")
    made = object.__new__(
        request
    )  # its own __init__ sets each of twenty fields by a call: as long as a small product
    vars(made).update(defaults)
    vars(made).update(values)
    if hasattr(request, "order"):
        vars(made)["order"] = tuple(values)
    if check := getattr(made, "__post_init__", None):
        check()
    return made


@cache
def _unsaid(request: type) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The fields that have no default, and the defaults of the others."""
    known = options(request)
    required = tuple(name for name, option in known.items() if option.default is MISSING)
    return required, {
        name: option.default for name, option in known.items() if name not in required
    }


def _missing(name: str, option: Option) -> UsageError:
    if option.positional:
        return UsageError(f"{option.kind.metavar} is missing: {option.help}")
    return UsageError(f"{flag_name(name)} is missing: {option.help}")
