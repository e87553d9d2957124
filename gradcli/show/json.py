"""A result, or a piece of one, as compact JSON: one line, shortest digits, not-finite numbers as strings."""

from typing import Any

import orjson
import torch
from torch import Tensor

from gradcli.results import Result, WhyResult
from gradcli.show import numbers, paths

_BIG = 1000
"""From here a tensor is handed to orjson as an array, which is quicker; below, plain lists are."""


def encode(value: Any) -> bytes:
    """Any tree of tensors, numbers, text and None as JSON, without a line end."""
    return orjson.dumps(_ready(value), option=orjson.OPT_SERIALIZE_NUMPY)


def _ready(value: Any) -> Any:
    """`value` with every tensor as something that orjson writes in shortest digits."""
    if isinstance(value, dict):
        return {name: _ready(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_ready(item) for item in value]
    if isinstance(value, float):
        return value if value - value == 0 else numbers.spell(value)
    if not isinstance(value, Tensor):
        return value
    arrays = (torch.float32, torch.float64, torch.int64, torch.bool)
    if value.numel() >= _BIG and value.dtype in arrays and bool(torch.isfinite(value).all()):
        return value.contiguous().numpy()
    return numbers.nested(value)


def render(result: Result | WhyResult) -> bytes:
    """`--json`: the whole result on one line."""
    return encode(paths.tree(result)) + b"\n"


def render_path(result: Result, path: str) -> bytes:
    """`--get`: a number, text or null bare, all else as compact JSON.

    Raises UsageError where there is no such path.
    """
    value = paths.find(result, path)
    if isinstance(value, Tensor) and value.ndim == 0:
        value = numbers.flat(value)[0]
    if isinstance(value, str):
        return value.encode() + b"\n"
    if isinstance(value, float):
        return numbers.exact(value).encode() + b"\n"
    return encode(value) + b"\n"
