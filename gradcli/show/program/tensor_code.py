"""Inputs as a PyTorch program has them: the constructor that was typed, the file, or the
numbers.
"""

import math
from typing import Any

import torch
from torch import Tensor

from gradcli.language.file_names import FromFile
from gradcli.language.literals.constructors import Made
from gradcli.language.literals.literal import Literal
from gradcli.show import numbers

_LOADERS = {
    ".npy": "np.load({path!r})",
    ".npz": "np.load({path!r})[{key!r}]",
    ".pt": "torch.load({path!r})",
    ".safetensors": "safetensors.torch.load_file({path!r})[{key!r}]",
}
"""How a program reads the binary formats; the numbers of text files are written out."""


def tensor_code(
    literal: Literal | None,
    tensor: Tensor,
    *,
    leaf: bool,
    device: str = "cpu",
    filled: bool = False,
) -> str:
    """The expression that makes `tensor`; with `leaf` one that records what is done with it.

    On another `device` than the CPU a constructor runs on the CPU all the same, and its numbers are
    moved. With `filled` the literal is two numbers, and `tensor` [n] what lies between them.
    """
    if filled:
        drawn = isinstance(literal, Made) and literal.random
        outer = tensor[:: len(tensor) - 1]
        ends = (
            f"*{tensor_code(literal, outer, leaf=False, device=device)}"
            if drawn
            else _values(outer)[1:-1]
        )
        return f"torch.linspace({ends}, {len(tensor)})"
    flag = ", requires_grad=True" if leaf else ""
    if isinstance(literal, Made):
        arguments = ", ".join(
            _argument(literal.name, key, value) for key, value in literal.arguments.items()
        )
        elsewhere = device != "cpu"
        if literal.sign > 0 and not elsewhere:
            return f"torch.{literal.name}({arguments}{flag})"
        moved = (
            f'torch.{literal.name}({arguments}, device="cpu").to("{device}")' if elsewhere else ""
        )
        made = ("-" if literal.sign < 0 else "") + (moved or f"torch.{literal.name}({arguments})")
        return (
            f"({made}).requires_grad_()"
            if leaf and literal.sign < 0
            else made + ".requires_grad_()" * leaf
        )
    if (
        isinstance(literal, FromFile)
        and literal.suffix in _LOADERS
        and (literal.key or literal.suffix == ".npy")
    ):
        loaded = _LOADERS[literal.suffix].format(path=literal.path, key=literal.key)
        if literal.suffix == ".pt":
            loaded += f"[{literal.key!r}]" if literal.key else ""
        dtype = "" if tensor.dtype == torch.bool else f", dtype={tensor.dtype}"
        return f"torch.tensor({loaded}{dtype}{flag})"
    dtype = f", dtype={tensor.dtype}" if tensor.dtype in _UNUSUAL or not tensor.numel() else ""
    return f"torch.tensor({_values(tensor)}{dtype}{flag})"


_UNUSUAL = (torch.int8, torch.int16, torch.int32, torch.uint8)
"""Dtypes that torch.tensor does not give by itself."""


def _values(tensor: Tensor) -> str:
    """The numbers as nested lists, not-finite ones as torch's constants."""
    flat = [_number(value) for value in numbers.flat(tensor)]
    for size in reversed(tensor.shape[1:]):
        flat = (
            [f"[{', '.join(flat[i * size : (i + 1) * size])}]" for i in range(len(flat) // size)]
            if size
            else []
        )
    if tensor.ndim == 0:
        return flat[0]
    return f"[{', '.join(flat)}]" if tensor.numel() else repr(torch.empty(tensor.shape).tolist())


def _number(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "torch.nan" if math.isnan(value) else "torch.inf" if value > 0 else "-torch.inf"
    return repr(value)


def _argument(constructor: str, key: str, value: Any) -> str:
    """An argument of a constructor; positional in PyTorch's order, numbers as floats where they
    decide the dtype.
    """
    decides = key == "fill_value" or constructor == "arange"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) if constructor != "full" and value else str(value)
    return (
        f"base={value!r}" if key == "base" else _number(float(value)) if decides else _number(value)
    )
