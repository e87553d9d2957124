"""The values that `--expect` takes: `w=2`, `value=1`, `gradients.w.0=2`, or `2` alone."""

from dataclasses import dataclass
from typing import Any

from gradcli.errors import UsageError
from gradcli.language import assignment
from gradcli.language.literals import literal
from gradcli.language.literals.literal import FromStdin, Literal
from gradcli.language.source import Source
from gradcli.options.fields import TENSOR, TENSORS, ValueKind, wrong


@dataclass(frozen=True)
class Expectation:
    """A value expected under `key`, which is empty if the value is given alone."""

    key: str
    value: Literal


def read(source: Source) -> Expectation:
    """One `--expect`.

    Raises LiteralError if the value cannot be read, UsageError if it is missing or standard input.
    """
    key, rest = assignment.split(source, dots=True, ascii_only=True) or ("", source)
    if not rest.text.strip():
        hint = "--expect w=2, or --expect 2"
        raise UsageError("--expect: the expected value is missing", hint=hint)
    value = literal.parse(Source(rest.text, f"{source.label} {key}".rstrip()))
    if isinstance(value, FromStdin):
        hint = "put the expected values in a file: @FILE"
        raise UsageError("--expect cannot read standard input", hint=hint)
    return Expectation(key, value)


def accept(value: Any, key: str) -> tuple[Expectation, ...]:
    """The expectations in a JSON value: an object of them by name, or numbers for one gradient."""
    objects = isinstance(value, list) and any(isinstance(item, dict) for item in value)
    if value is None or isinstance(value, bool) or objects:
        expected = 'a string, a number, a list or an object, such as "w=2" or {"w": 2}'
        raise wrong(key, value, expected)
    named = value if isinstance(value, dict) else {"": value}
    return tuple(
        Expectation(name, TENSOR.from_json(item, f"{key} {name}".rstrip()))
        for name, item in named.items()
    )


EXPECT = ValueKind(
    "[PATH=]T", read, accept=accept, paths=TENSORS, outside=lambda expectation: expectation.value
)
