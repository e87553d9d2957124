"""The values of a caller, as requests and jobs of a batch take them."""

import math
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import reduce
from typing import Any

_NOT_FINITE = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}


def plain(value: Any) -> Any:
    """Lists of plain numbers for sequences, such as `array.array`; an array of NumPy or a tensor stays,
    and so do the values of a mapping.
    """
    if hasattr(value, "tolist") and not hasattr(value, "__array__"):
        return value.tolist()
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    return [*map(listed, value)] if isinstance(value, list | tuple | range) else value


def listed(value: Any) -> Any:
    """The same, but arrays and tensors are lists of numbers too."""
    with suppress(RuntimeError, TypeError):  # of a sparse tensor, or one without data; of a type
        return value.tolist() if hasattr(value, "tolist") else plain(value)
    return value


def setting(value: Any) -> Any:
    """The value of an option that takes no numbers: a dtype or a device by its name."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if isinstance(value, type):  # such as numpy.float64
        return value.__name__
    named = (torch and (torch.dtype, torch.device)) or (), (numpy and numpy.dtype) or ()
    return str(value).removeprefix("torch.") if isinstance(value, named) else listed(value)


def written(value: Any) -> Any:
    """A value as JSON has it: a tensor of whole numbers is the literal that keeps its type."""
    if is_tensor(value) and not value.is_floating_point() and value.dtype.itemsize > 1:
        return f"tensor({value.tolist()}, dtype={value.dtype})"
    if getattr(getattr(value, "dtype", None), "kind", "") == "c":  # NumPy's complex numbers
        return str(value.tolist())  # a literal, whose error says what to do
    value = listed(value)
    if isinstance(value, dict):
        return {name: written(item) for name, item in value.items()}
    if isinstance(value, list):
        return [*map(written, value)]
    finite = not isinstance(value, float) or math.isfinite(value)
    return value if finite else _NOT_FINITE[str(float(value))]


def is_tensor(value: Any) -> bool:
    """Whether a value is a tensor of PyTorch, which is not loaded for that."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def kept(values: Iterable[Any]) -> dict[str, str]:
    """The dtype and the device of the floating-point tensors among the values, as options: the dtype
    that PyTorch promotes them to, the device if they have one.
    """
    tensors = [
        value
        for value in values
        if is_tensor(value)
        and value.is_floating_point()
        and value.dtype.itemsize > 1
        and not value.is_meta
    ]
    if not tensors:
        return {}
    dtype = reduce(sys.modules["torch"].promote_types, [tensor.dtype for tensor in tensors])
    devices = {str(tensor.device) for tensor in tensors}
    found = {"dtype": str(dtype).removeprefix("torch.")}
    return found | ({"device": devices.pop()} if len(devices) == 1 else {})
