"""What the user expects of one number or tensor of the result: `w=2`, `value=1`, `gradients.w.0=2`, or `2` alone."""

import re
from dataclasses import dataclass

from gradcli.errors import UsageError
from gradcli.text import literal
from gradcli.text.literal import FromStdin, Literal
from gradcli.text.source import Source

_NAMED = re.compile(r"\s*([A-Za-z_][\w.]*)\s*=(?!=)", re.ASCII)


@dataclass(frozen=True)
class Expectation:
    """A value expected under `key`; the key is empty where the text is a value alone."""

    key: str
    value: Literal


def read(text: str) -> Expectation:
    """One `--expect`.

    Raises LiteralError with the place where the value cannot be read, and UsageError where it is standard input.
    """
    found = _NAMED.match(text)
    key = found[1] if found else ""
    rest = text[found.end() :] if found else text
    if not rest.strip():
        raise UsageError("--expect: nothing is expected", cure="--expect w=2, or --expect 2")
    value = literal.parse(Source(rest, f"--expect {key}".rstrip()))
    if isinstance(value, FromStdin):
        raise UsageError("--expect: standard input is for the inputs", cure="put what you expect in a file: @FILE")
    return Expectation(key, value)
