"""The values of `--jvp` and `--hvp`: directions `NAME=T`, one for each of some inputs."""

from collections.abc import Sequence
from operator import attrgetter
from typing import Any

from gradcli.errors import UsageError
from gradcli.language import assignment
from gradcli.language.literals import literal
from gradcli.language.source import Source
from gradcli.options.fields import TENSOR, TENSORS, ValueKind, wrong
from gradcli.options.inputs import Input


def read(source: Source) -> Input:
    """The direction of one input.

    Raises UsageError if there is no `NAME=`, and LiteralError if T cannot be read.
    """
    if (assigned := assignment.split(source, dots=True)) is None:
        hint = f"name the input that it is a direction of: {source.label} x=1,0"
        raise UsageError("expected NAME=T", span=source.whole, hint=hint)
    name, value = assigned
    return Input(name, literal.parse(source.rest(value, f"{source.label} {name}")))


def read_words(words: Sequence[Source], taken: int = 0, command: str = "") -> tuple[Input, ...]:
    """The directions in the order given. Raises UsageError for an input with two of them."""
    found: dict[str, Input] = {}
    for source in words[taken:]:
        item = read(source)
        if item.name in found:
            message = f"{source.label}: {item.name} is given twice"
            raise UsageError(message, hint="give each input one direction")
        found[item.name] = item
    return tuple(found.values())


def accept(value: Any, key: str) -> tuple[Input, ...]:
    """A JSON object of directions: numbers and nested lists, or literals as text."""
    if not isinstance(value, dict):
        raise wrong(key, value, 'an object of directions, such as {"x": 1, "w": [1, 0]}')
    return tuple(
        Input(name, TENSOR.from_json(item, f"{key} {name}")) for name, item in value.items()
    )


DIRECTION = ValueKind(
    "NAME=T",
    read,
    read_words,
    accept,
    paths=TENSORS,
    outside=attrgetter("outside"),
    python="Mapping[str, Tensorlike] | str | Sequence[str]",
)
