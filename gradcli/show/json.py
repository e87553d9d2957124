"""A result, or a part of it, as compact JSON: one line, shortest digits, "NaN" and "Infinity"."""

from typing import Any, BinaryIO

import numpy as np
import orjson
import torch
from torch import Tensor

from gradcli import result_paths
from gradcli.show import bulk, numbers

_SCALAR = {torch.float32: np.float32, torch.float64: float, torch.int64: int, torch.bool: bool}
"""The dtypes whose shortest digits orjson writes itself, and the type of one number of each."""
_QUICK = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_PASSTHROUGH_DATACLASS


def encode(value: Any, end: bytes = b"") -> bytes:
    """A result, or any tree of tensors, numbers, text and None, as JSON, followed by `end`.

    orjson writes a small, finite result in one call. It writes null for a number that is not
    finite, and spells some numbers of float32 differently: if either may have happened, every
    tensor is written on its own.
    """
    text = _quick(value)
    if text is None or b"null" in text or _spelled_otherwise(text):
        return bulk.encode(_ready(result_paths.tree(value)), end)
    return text + end


def encode_finite(tree: Any, nulls: int) -> bytes | None:
    """A tree of arrays with so many None as `encode` writes it; None if a number in it is not finite."""
    text = _quick(tree)
    if text is None or text.count(b"null") != nulls:
        return None
    return encode(tree) if _spelled_otherwise(text) else text


def array(tensor: Tensor | None) -> Any:
    """A tensor of any shape as a scalar or an array that orjson writes in shortest digits; None for
    None. Raises KeyError for a dtype that it cannot write so.
    """
    if tensor is None:
        return None
    number = _SCALAR[tensor.dtype]
    if not tensor.ndim:
        return number(tensor.item())
    return tensor.contiguous().numpy(force=True)  # `force` because it may require a gradient


def _quick(value: Any) -> bytes | None:
    """What orjson writes in one call; None if it cannot."""
    try:
        return orjson.dumps(value, _default, _QUICK)
    except TypeError:
        return None


def _spelled_otherwise(text: bytes) -> bool:
    """Whether a number of float32 may be spelled otherwise than Python does."""
    return b"0.00000" in text or b"e+" in text


def _default(value: Any) -> Any:
    """A small tensor as a scalar or array for orjson, and a dataclass as its keys.

    Raises TypeError for any other value.
    """
    if not isinstance(value, Tensor):
        if keys := result_paths.shown(value):
            return keys
        raise TypeError
    if value.dtype not in _SCALAR or value.numel() >= bulk.FROM:
        raise TypeError
    return array(value)


def _ready(value: Any) -> Any:
    """`value` with every tensor as something that orjson writes in shortest digits; large tensors,
    and those of other dtypes, stay for `bulk`; complex ones are None.
    """
    if isinstance(value, dict):
        return {name: _ready(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_ready(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        value = torch.from_numpy(np.asarray(value))
    if isinstance(value, float):
        return value if value - value == 0 else numbers.spell(value)
    if not isinstance(value, Tensor):
        return value
    if value.is_complex():
        return None
    value = value.detach().cpu()
    return _fragment(value) if value.dtype in _SCALAR and value.numel() < bulk.FROM else value


def _fragment(tensor: Tensor) -> Any:
    """The JSON of a small tensor from its memory."""
    array = np.atleast_1d(tensor.contiguous().numpy(force=True))
    text = orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY)
    if tensor.dtype == torch.float32:  # spelled as Python does, and so as in --get and CSV
        text = orjson.dumps(orjson.loads(text))
    text = bulk.spelled(text, array, bulk.QUOTED)
    return orjson.Fragment(text if tensor.ndim else text[1:-1])


def write(result: Any, file: BinaryIO) -> None:
    """Write a whole result on one line to a file, in pieces."""
    bulk.write(_ready(result_paths.tree(result)), file, b"\n")


def render_path(result: Any, path: str) -> bytes:
    """`--get`: a number, text or null bare, any other value as compact JSON.

    Raises UsageError if there is no such path.
    """
    value = result_paths.find(result, path)
    if isinstance(value, Tensor) and value.ndim == 0:
        value = numbers.flat(value)[0]
    if isinstance(value, str):
        return value.encode() + b"\n"
    if isinstance(value, float):
        return numbers.exact(value).encode() + b"\n"
    return encode(value, b"\n")
