"""A result, or a piece of one, as compact JSON: one line, shortest digits, not-finite numbers as strings."""

from typing import Any, BinaryIO

import orjson
import torch
from torch import Tensor

from gradcli import addresses
from gradcli.results import FunctionsResult, Result, WhyResult
from gradcli.show import bulk, numbers

_DIRECT = (torch.float32, torch.float64, torch.int64, torch.bool)
"""The dtypes whose shortest digits orjson writes by itself."""


def encode(value: Any, end: bytes = b"") -> bytes:
    """Any tree of tensors, numbers, text and None as JSON, and `end` behind it."""
    return bulk.encode(_ready(value), end)


def _ready(value: Any) -> Any:
    """`value` with every tensor as something that orjson writes in shortest digits; large ones are left to `bulk`."""
    if isinstance(value, dict):
        return {name: _ready(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_ready(item) for item in value]
    if isinstance(value, float):
        return value if value - value == 0 else numbers.spell(value)
    if not isinstance(value, Tensor):
        return value
    if bulk.is_many(value):
        return value
    return _fragment(value) if value.dtype in _DIRECT else numbers.nested(value)


def _fragment(tensor: Tensor) -> Any:
    """A tensor's JSON straight from its memory; where something in it is not finite, as nested lists with strings."""
    array = tensor.detach().contiguous().numpy()
    text = orjson.dumps(array.reshape(1) if array.ndim == 0 else array, option=orjson.OPT_SERIALIZE_NUMPY)
    if b"null" in text:  # orjson's word for what is not finite
        return numbers.nested(tensor)
    if tensor.dtype == torch.float32:  # as Python writes the same digits, and so --get and CSV
        text = orjson.dumps(orjson.loads(text))
    return orjson.Fragment(text[1:-1] if array.ndim == 0 else text)


def render(result: Result | WhyResult | FunctionsResult) -> bytes:
    """`--json`: the whole result on one line."""
    return encode(addresses.tree(result), b"\n")


def write(result: Result, file: BinaryIO) -> None:
    """Write what `render` returns to a file, without holding the whole of it."""
    bulk.write(_ready(addresses.tree(result)), file, b"\n")


def render_path(result: Result, path: str) -> bytes:
    """`--get`: a number, text or null bare, all else as compact JSON.

    Raises UsageError where there is no such path.
    """
    value = addresses.find(result, path)
    if isinstance(value, Tensor) and value.ndim == 0:
        value = numbers.flat(value)[0]
    if isinstance(value, str):
        return value.encode() + b"\n"
    if isinstance(value, float):
        return numbers.exact(value).encode() + b"\n"
    return encode(value, b"\n")
