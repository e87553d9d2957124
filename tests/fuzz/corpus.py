"""Where inputs begin: the project's own cases, published examples, documented commands, and PyTorch's samples of its operators."""

import re
import tomllib
import warnings
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gradcli.tables.mistakes import MISTAKES
from gradcli.text.numerals import INTEGERS

CASES = Path(__file__).parent.parent / "cases"
_NAMED = re.compile(r"[A-Za-z_]\w*=(?!=)")
ON_EXPRESSIONS = ("grad", "jacobian", "hessian", "descend", "plot")


@cache
def calls() -> list[list[str]]:
    """The words of every documented and every published call."""
    from tests.soak import documented

    published = tomllib.loads((CASES / "published.toml").read_text("utf-8"))["example"]
    return [*(list(each["args"]) for each in published), *(words for _, words in documented())]


@cache
def expressions() -> list[str]:
    """Expressions that are right, and expressions that were wrong once."""
    blocks = [block.strip("\n").split("\n") for block in (CASES / "hostile.txt").read_text("utf-8").split("\n\n")]
    hostile = [_decoded(block[0]) for block in blocks if len(block) > 1]
    right = [words[1] for words in calls() if words[0] in ON_EXPRESSIONS and len(words) > 1]
    return sorted({*hostile, *right})


@cache
def literals() -> list[str]:
    """Tensor literals, malformed and documented."""
    blocks = (CASES / "malformed_literals.txt").read_text("utf-8").removesuffix("\n").split("\n----\n")
    malformed = [_decoded(block.partition("\n\n")[0].removeprefix("stdin:")) for block in blocks]
    named = [_NAMED.sub("", word, count=1) for words in calls() for word in words if _NAMED.match(word)]
    return sorted({*malformed, *named})


@cache
def messages() -> list[str]:
    """What a user of PyTorch may paste: the fragments that mistakes are known by, bare and in a traceback."""
    fragments = [fragment for mistake in MISTAKES.values() for fragment in mistake.fragments]
    trace = 'Traceback (most recent call last):\n  File "a.py", line 3, in <module>\n    y.backward()\nRuntimeError: '
    return [*MISTAKES, *fragments, *(trace + fragment for fragment in fragments)]


def _decoded(typed: str) -> str:
    return typed.encode().decode("unicode_escape") if "\\" in typed else typed


# --- PyTorch's samples ------------------------------------------------------------------------------------------------


@cache
def operators() -> list[str]:
    """The names of the operators of PyTorch's database."""
    from tests.operator_samples import ENTRIES

    return list(ENTRIES)


@cache
def samples(name: str) -> list[tuple[str, dict[str, Tensor]]]:
    """A few samples of an operator as expressions and their inputs; none where nobody can type them."""
    from tests.operator_samples import ENTRIES, Typed, UntypableError
    from tests.operator_samples import samples as of_database

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            typed = [Typed(ENTRIES[name], sample) for sample in of_database(ENTRIES[name], 4)]
    except (UntypableError, RuntimeError, TypeError, ValueError):
        return []
    return [(each.text, {name: tensor.detach() for name, tensor in each.inputs.items()}) for each in typed]


HOSTILE: Mapping[str, Callable[[Tensor], Tensor]] = {
    "empty": lambda t: t.new_empty((0, *t.shape[1:])),
    "scalar": lambda t: t.reshape(-1)[0] if t.numel() else t.new_zeros(()),
    "flat": lambda t: t.reshape(-1),
    "one more dimension": lambda t: t.unsqueeze(0),
    "first row": lambda t: t[:1] if t.ndim else t,
    "doubled": lambda t: torch.cat([t, t]) if t.ndim else t,
    "integers": lambda t: t.to(torch.int64),
    "floats": lambda t: t.to(torch.float64),
    "huge": lambda t: t * 10**12 if t.dtype == torch.int64 else t * 1e30 if t.is_floating_point() else t,
    "negative": lambda t: -t.abs() - 3 if t.dtype not in (torch.bool, torch.uint8) else t,
    "not a number": lambda t: torch.full_like(t, torch.nan) if t.is_floating_point() else t,
}
"""What an operator's input is changed to."""


def literal(tensor: Tensor) -> Any:
    """A tensor as a job's input."""
    dtype = str(tensor.dtype).removeprefix("torch.")
    if not tensor.numel():
        return f"zeros({', '.join(map(str, tensor.shape))})"
    if dtype in INTEGERS:
        return f"tensor({tensor.tolist()}, dtype={tensor.dtype})"
    finite = tensor if tensor.dtype == torch.bool else tensor.double()
    return _spelled(finite.tolist())


def _spelled(value: Any) -> Any:
    """Nested lists with numbers that are not finite as JSON has them."""
    if isinstance(value, list):
        return [_spelled(item) for item in value]
    if isinstance(value, float) and value - value != 0:
        return {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[str(value)]
    return value
