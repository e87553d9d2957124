"""A request made from the words of a command line, or from the keys of a JSON job."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING
from functools import cache
from typing import Any, TypeAlias, TypeVar

from gradcli.errors import UsageError
from gradcli.language.source import Source
from gradcli.language.suggest import did_you_mean
from gradcli.options.fields import FLAG, flag_name, options
from gradcli.options.inputs import INPUTS, input_name
from gradcli.options.shared import OutputOptions
from gradcli.options.split import too_many

T = TypeVar("T")

Given: TypeAlias = str | bool | list[str] | None
"""The value of one option: its word, whether a flag is given, or all words of a repeatable one."""


def from_words(
    request: type[T],
    words: Sequence[str | Source],
    given: Mapping[str, Any],
    label: Callable[[str], str] = flag_name,
    named: Sequence[Source] = (),
) -> T:
    """The request of that type from the bare `words`, and the options `given` by field name: as
    texts, or as `ValueKind.from_json` takes them. Errors call an option by its `label`. Inputs in
    `named` come after the words, and are none of them.

    A field `order` gets the names of the options that were given, in their order.

    Raises UsageError for a word too many or a missing required field, and what the kinds raise.
    """
    values: dict[str, Any] = {}
    sources = [Source(word) if isinstance(word, str) else word for word in words]
    places = [option for option in options(request).values() if option.positional]
    inputs_apart = sum(option.many for option in places) > 1
    if len(words) > len(places) and not any(option.many for option in places):
        extra, hint = sources[len(places)].whole, "put quotes around what belongs together"
        texts = [source.text for source in sources]
        raise too_many(texts) or UsageError("too many arguments", span=extra, hint=hint)
    taken = 0
    for name, option in options(request).items():
        kind = option.kind
        if not option.positional:
            value = given.get(name)
            if value is not None and value is not False:
                values[name] = kind.from_json(value, label(name), many=option.repeatable)
        elif option.many and (len(sources) > taken or (named and kind.outside)):
            fitting = [*sources[taken:], *(named if kind.outside else ())]
            if inputs_apart:
                of_inputs = kind is INPUTS
                fitting = [word for word in fitting if bool(input_name(word.text)) == of_inputs]
            words_read = [*sources[:taken], *fitting]
            values[name] = kind.read_many(words_read, taken, request.__name__.lower())
            taken = taken if inputs_apart else len(sources)
        elif len(sources) > taken:
            values[name] = kind.read(sources[taken])
            taken += 1
        if name not in values and option.default is MISSING:
            word = kind.metavar if option.positional else label(name)
            raise UsageError(f"{word} is missing: {option.help}")
    if hasattr(request, "order"):
        values["order"] = tuple(name for name in given if name in values)
    if given.get("full") and hasattr(request, "full"):  # some compute more if more is shown
        values["full"] = True
    return request(**values)


def from_json(request: type[T], job: Mapping[str, Any]) -> T:
    """The request of that type whose fields are the keys of `job`, with `-` or `_` in their names.

    Raises UsageError for an unknown or a missing key, and what the fields' kinds raise.
    """
    known = options(request)
    values: dict[str, Any] = {}
    for key, value in _inputs_as_keys(request, job).items():
        name = key.replace("-", "_")
        option = known.get(name)
        if name in values:
            raise UsageError(f"{key} is given twice", hint="give each key and each input once")
        if name == "quiet":  # the notes are part of the object, as with --json
            if value is not None:
                FLAG.from_json(value, key)
            continue
        if option is None:
            if name in options(OutputOptions):
                hint = "its output is one line of JSON"
                raise UsageError(f"a job cannot have {key!r}", hint=hint)
            hint = getattr(request, "instead", {}).get(name) or did_you_mean(name, known)
            hint = hint or f"keys: {', '.join(known)}"
            raise UsageError(f"there is no key {key[:80]!r}", hint=hint)
        if value is not None:
            values[name] = option.kind.from_json(value, key, many=option.many or option.repeatable)
    kind: type = request
    required, defaults = _defaults(kind)
    for name in required:
        if values.get(name, ()) == ():
            raise UsageError(f"{name} is missing: {known[name].help}")
    # Its own __init__ sets each of twenty fields by a call, which takes as long as a small product.
    made = object.__new__(request)
    vars(made).update(defaults)
    vars(made).update(values)
    if hasattr(request, "order"):
        vars(made)["order"] = tuple(values)
    if check := getattr(made, "__post_init__", None):
        check()
    return made


def _inputs_as_keys(request: type, job: Mapping[str, Any]) -> Mapping[str, Any]:
    """The job with those of its `inputs` that have an option as keys of their own."""
    inputs = job.get("inputs")
    if not isinstance(inputs, dict) or not hasattr(request, "named"):
        return job
    moved = [name for name in request.named([*job]) if name in inputs]
    if not moved:
        return job
    if twice := next((name for name in moved if job.get(name) is not None), ""):
        raise UsageError(f"the input {twice} is given twice", hint="give each input once")
    rest = {name: value for name, value in inputs.items() if name not in moved}
    keys = {name: value for name, value in job.items() if name != "inputs"}
    return keys | {name: inputs[name] for name in moved} | ({"inputs": rest} if rest else {})


@cache
def _defaults(request: type) -> tuple[tuple[str, ...], dict[str, Any]]:
    """The fields that have no default, and the defaults of the others."""
    defaults = {name: option.default for name, option in options(request).items()}
    required = tuple(name for name, default in defaults.items() if default is MISSING)
    return required, {name: defaults[name] for name in defaults if name not in required}
