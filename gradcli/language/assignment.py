"""`NAME=` before a value: of an input, an expectation, a setting of an optimizer."""

import re

from gradcli.language.source import Source, Span

_UNICODE = re.compile(r"\s*([^\W\d][\w.]*)\s*=(?!=)")
_ASCII = re.compile(_UNICODE.pattern, re.ASCII)


def split(
    source: Source, *, dots: bool = False, ascii_only: bool = False
) -> tuple[str, Span] | None:
    """The name and what follows its `=`; None if the text does not begin with NAME= (`==` is not).

    `dots`: the name may be a path, `gradients.w`. Letters beyond ASCII are allowed in it unless
    `ascii_only`, so that the caller can report them.
    """
    match = (_ASCII if ascii_only else _UNICODE).match(source.text)
    if match is None or ("." in match[1] and not dots):
        return None
    return match[1], source.span(match.end(), len(source.text))


def in_expression(name: str) -> str:
    """The name of an input in an expression: `net[0].weight` for the parameter `net.0.weight`."""
    first, *parts = name.split(".")
    return first + "".join(f"[{part}]" if part.isdigit() else f".{part}" for part in parts)
