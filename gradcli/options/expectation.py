"""What the user expects of one number or tensor of the result: `w=2`, `value=1`, `gradients.w.0=2`,
or `2` alone.
"""

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
    """A value expected under `key`; the key is empty where the text is a value alone."""

    key: str
    value: Literal


def read(source: Source) -> Expectation:
    """One `--expect`.

    Raises LiteralError with the place where the value cannot be read, and UsageError where it is
    standard input.
    """
    key, rest = assignment.split(source, dots=True, ascii_only=True) or ("", source)
    if not rest.text.strip():
        raise UsageError(
            "--expect: the expected value is missing", hint="--expect w=2, or --expect 2"
        )
    value = literal.parse(Source(rest.text, f"{source.label} {key}".rstrip()))
    if isinstance(value, FromStdin):
        raise UsageError(
            "--expect cannot read standard input", hint="put the expected values in a file: @FILE"
        )
    return Expectation(key, value)


def accept(value: Any, key: str) -> tuple[Expectation, ...]:
    """The expectations of a JSON value: an object has them by name, numbers alone are those of the
    only gradient.
    """
    items = value if isinstance(value, list) else [value]
    if (
        value is None
        or isinstance(value, bool)
        or (value is not items[0] and any(isinstance(item, dict) for item in items))
    ):
        raise wrong(
            key, value, 'a string, a number, a list or an object, such as "w=2" or {"w": 2}'
        )
    named = value if isinstance(value, dict) else {"": value}
    return tuple(
        Expectation(name, TENSOR.from_json(item, f"{key} {name}".rstrip()))
        for name, item in named.items()
    )


EXPECT = ValueKind(
    "[PATH=]T", read, accept=accept, paths=TENSORS, outside=lambda expectation: expectation.value
)
