"""Where inputs begin: the project's own cases, published examples, documented commands, PyTorch's
messages.
"""

import re
import tomllib
from functools import cache
from pathlib import Path

from gradcli.catalogue.mistakes import MISTAKES

CASES = Path(__file__).parents[2] / "tests" / "cases"
_NAMED = re.compile(r"[A-Za-z_]\w*=(?!=)")
ON_EXPRESSIONS = ("grad", "jacobian", "hessian", "value", "descend", "plot")


@cache
def calls() -> list[list[str]]:
    """The words of every documented and every published call."""
    from tools.soak import documented

    published = tomllib.loads((CASES / "published.toml").read_text("utf-8"))["example"]
    return [*(list(each["args"]) for each in published), *(words for _, words in documented())]


@cache
def expressions() -> list[str]:
    """Expressions that are right, and expressions that were wrong once."""
    right = [words[1] for words in calls() if words[0] in ON_EXPRESSIONS and len(words) > 1]
    return sorted({*hostile(), *right})


def hostile() -> list[str]:
    """The expressions of the project's own cases."""
    blocks = [
        block.strip("\n").split("\n")
        for block in (CASES / "hostile.txt").read_text("utf-8").split("\n\n")
    ]
    return [_decoded(block[0]) for block in blocks if len(block) > 1]


@cache
def literals() -> list[str]:
    """Tensor literals, malformed and documented."""
    named = [
        _NAMED.sub("", word, count=1) for words in calls() for word in words if _NAMED.match(word)
    ]
    return sorted({*malformed(), *named})


def malformed() -> list[str]:
    """The literals of the project's own cases."""
    blocks = (
        (CASES / "malformed_literals.txt").read_text("utf-8").removesuffix("\n").split("\n----\n")
    )
    return [_decoded(block.partition("\n\n")[0].removeprefix("stdin:")) for block in blocks]


@cache
def messages() -> list[str]:
    """What a user of PyTorch may paste: the fragments that mistakes are known by, bare and in a
    traceback.
    """
    fragments = [fragment for mistake in MISTAKES.values() for fragment in mistake.fragments]
    trace = 'Traceback (most recent call last):\n  File "a.py", line 3, in <module>\n    y.backward()\nRuntimeError: '
    return [*MISTAKES, *fragments, *(trace + fragment for fragment in fragments)]


def _decoded(typed: str) -> str:
    return typed.encode().decode("unicode_escape") if "\\" in typed else typed
