"""PyTorch's own samples of its operators as expressions, and what makes their inputs hostile."""

import warnings
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor

from gradcli.language.literals.literal_grammar import INTEGERS


@cache
def operators() -> list[str]:
    """The names of the operators of PyTorch's database."""
    from tests.operator_samples import entries

    return list(entries())


@cache
def of(name: str) -> list[tuple[str, dict[str, Tensor]]]:
    """A few samples of an operator as expressions and their inputs; none where nobody can type
    them.
    """
    from tests.operator_samples import Typed, UntypableError, entries, samples

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            typed = [Typed(entries()[name], sample) for sample in samples(entries()[name], 4)]
    except (UntypableError, RuntimeError, TypeError, ValueError):
        return []
    return [
        (each.text, {name: tensor.detach() for name, tensor in each.inputs.items()})
        for each in typed
    ]


HOSTILE: Mapping[str, Callable[[Tensor], Tensor]] = {
    "empty": lambda t: t.new_empty((0, *t.shape[1:])),
    "scalar": lambda t: t.reshape(-1)[0] if t.numel() else t.new_zeros(()),
    "flat": lambda t: t.reshape(-1),
    "one more dimension": lambda t: t.unsqueeze(0),
    "first row": lambda t: t[:1] if t.ndim else t,
    "doubled": lambda t: torch.cat([t, t]) if t.ndim else t,
    "integers": lambda t: t.to(torch.int64),
    "floats": lambda t: t.to(torch.float64),
    "huge": lambda t: (
        t * 10**12 if t.dtype == torch.int64 else t * 1e30 if t.is_floating_point() else t
    ),
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
