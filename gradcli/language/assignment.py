"""`NAME=` before a value, in every text where a user may write it: inputs, expectations, settings
of an optimizer.
"""

import re

from gradcli.language.source import Source, Span

_UNICODE = re.compile(r"\s*([^\W\d][\w.]*)\s*=(?!=)")
_ASCII = re.compile(_UNICODE.pattern, re.ASCII)


def split(
    source: Source, *, dots: bool = False, ascii_only: bool = False
) -> tuple[str, Span] | None:
    """The name and what follows its `=`, or None where the text does not begin as NAME= does; `==`
    compares.

    `dots`: the name may be a path, `gradients.w`. A name of letters beyond ASCII is found unless
    `ascii_only`, so that the caller can say what is wrong with it.
    """
    found = (_ASCII if ascii_only else _UNICODE).match(source.text)
    if found is None or ("." in found[1] and not dots):
        return None
    return found[1], source.span(found.end(), len(source.text))
