"""A result, or a piece of one, as compact JSON: one line, shortest digits, not-finite numbers as
strings.
"""

from typing import Any, BinaryIO

import numpy as np
import orjson
import torch
from torch import Tensor

from gradcli import result_paths
from gradcli.show import bulk, numbers

_SCALAR = {torch.float32: np.float32, torch.float64: float, torch.int64: int, torch.bool: bool}
_DIRECT = frozenset(_SCALAR)
"""The dtypes whose shortest digits orjson writes by itself, and what it writes a number of each
from."""
_QUICK = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_PASSTHROUGH_DATACLASS


def encode(value: Any, end: bytes = b"") -> bytes:
    """A result, or any tree of tensors, numbers, text and None, as JSON, and `end` behind it.

    orjson writes what is small and finite by itself, in one go. It has no word for what is not
    finite but null, and another spelling for some numbers of float32; where either may have
    happened, every tensor is looked at on its own.
    """
    try:
        text = orjson.dumps(value, _piece, _QUICK)
    except TypeError:
        return bulk.encode(_ready(result_paths.tree(value)), end)
    if b"null" in text or b"0.00000" in text or b"e+" in text:
        return bulk.encode(_ready(result_paths.tree(value)), end)
    return text + end


def _piece(value: Any) -> Any:
    """A small tensor as the array that orjson writes, and a dataclass as its keys. Raises TypeError
    for all else.
    """
    if not isinstance(value, Tensor):
        if keys := result_paths.shown(value):
            return keys
        raise TypeError
    if value.dtype not in _DIRECT or value.numel() >= bulk.FROM:
        raise TypeError
    if not value.ndim:
        return _SCALAR[value.dtype](value.item())
    return value.numpy(force=True)  # whether it is recorded or not


def _ready(value: Any) -> Any:
    """`value` with every tensor as something that orjson writes in shortest digits; large ones are
    left to `bulk`.
    """
    if isinstance(value, dict):
        return {name: _ready(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_ready(item) for item in value]
    if isinstance(value, float):
        return value if value - value == 0 else numbers.spell(value)
    if not isinstance(value, Tensor):
        return value
    value = value.detach().cpu()
    if bulk.is_many(value):
        return value
    return _fragment(value) if value.dtype in _DIRECT else numbers.nested(value)


def _fragment(tensor: Tensor) -> Any:
    """A tensor's JSON straight from its memory; where something in it is not finite, as nested
    lists with strings.
    """
    array = tensor.contiguous().numpy(force=True)
    text = orjson.dumps(
        array.reshape(1) if array.ndim == 0 else array, option=orjson.OPT_SERIALIZE_NUMPY
    )
    if b"null" in text:  # orjson's word for what is not finite
        return numbers.nested(tensor)
    if tensor.dtype == torch.float32:  # as Python writes the same digits, and so --get and CSV
        text = orjson.dumps(orjson.loads(text))
    return orjson.Fragment(text[1:-1] if array.ndim == 0 else text)


def render(result: Any) -> bytes:
    """`--json`: the whole result on one line."""
    return encode(result, b"\n")


def write(result: Any, file: BinaryIO) -> None:
    """Write what `render` returns to a file, without holding the whole of it."""
    bulk.write(_ready(result_paths.tree(result)), file, b"\n")


def render_path(result: Any, path: str) -> bytes:
    """`--get`: a number, text or null bare, all else as compact JSON.

    Raises UsageError where there is no such path.
    """
    value = result_paths.find(result, path)
    if isinstance(value, Tensor) and value.ndim == 0:
        value = numbers.flat(value)[0]
    if isinstance(value, str):
        return value.encode() + b"\n"
    if isinstance(value, float):
        return numbers.exact(value).encode() + b"\n"
    return encode(value, b"\n")
