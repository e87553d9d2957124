"""Inputs as PyTorch code: the constructor that the user typed, the file, or the numbers."""

import math
from typing import Any

import torch
from torch import Tensor

from gradcli.evaluate.files import is_foreign, subscripts
from gradcli.language.file_names import FromFile
from gradcli.language.literals.constructors import Made
from gradcli.language.literals.literal import Literal
from gradcli.show import numbers

_LOADERS = {
    ".npy": "np.load({path!r})",
    ".npz": "np.load({path!r})",
    ".pt": "torch.load({path!r})",
    ".safetensors": "safetensors.torch.load_file({path!r})",
}
"""Calls that read the binary formats; the numbers of text files are written into the program."""


def tensor_code(
    literal: Literal | None,
    tensor: Tensor,
    *,
    leaf: bool,
    device: str = "cpu",
    filled: bool = False,
) -> str:
    """The expression that makes `tensor`, any shape and dtype; with `leaf` it requires gradients.

    Constructors run on the CPU, as in gradcli, and their numbers are moved to `device`. With
    `filled` the literal is two numbers, and `tensor` [n] the evenly spaced numbers between them.
    """
    if filled:
        ends = tensor[:: len(tensor) - 1]
        if isinstance(literal, Made) and literal.random:
            limits = f"*{tensor_code(literal, ends, leaf=False, device=device)}"
        else:
            limits = _values(ends)[1:-1]
        return f"torch.linspace({limits}, {len(tensor)})"
    if isinstance(literal, Made):
        made = _constructor(literal, leaf, device)
        return made if literal.shape == tensor.shape else f"{made}.reshape{tuple(tensor.shape)}"
    flag = ", requires_grad=True" if leaf else ""
    suffix = literal.suffix if isinstance(literal, FromFile) else ""
    if isinstance(literal, FromFile) and suffix in _LOADERS and (literal.key or suffix == ".npy"):
        code = loaded(literal)
        if suffix not in (".npy", ".npz"):
            place = "" if device == "cpu" else f'"{device}", '
            return f"{code}.detach().to({place}{tensor.dtype}){'.requires_grad_()' * leaf}"
        dtype = "" if tensor.dtype == torch.bool else f", dtype={tensor.dtype}"
        converted = ".astype(float)" if is_foreign(literal) else ""
        return f"torch.tensor({code}{converted}{dtype}{flag})"
    dtype = f", dtype={tensor.dtype}" if tensor.dtype in _UNUSUAL or not tensor.numel() else ""
    return f"torch.tensor({_values(tensor)}{dtype}{flag})"


def loaded(literal: FromFile) -> str:
    """The call that reads a file of a binary format: what its key names if it has one."""
    return _LOADERS[literal.suffix].format(path=literal.path) + subscripts(literal)


def _constructor(literal: Made, leaf: bool, device: str) -> str:
    """The call of a constructor, its sign, and a move to another `device` than the CPU."""
    arguments = [_argument(literal.name, key, value) for key, value in literal.arguments.items()]
    plain = literal.sign > 0 and device == "cpu"
    if leaf and plain:
        arguments.append("requires_grad=True")
    if device != "cpu":
        arguments.append('device="cpu"')
    call = f"torch.{literal.name}({', '.join(arguments)})"
    if device != "cpu":
        call += f'.to("{device}")'
    if literal.sign < 0:
        call = f"(-{call})" if leaf else f"-{call}"
    return call if plain or not leaf else f"{call}.requires_grad_()"


_UNUSUAL = (torch.int8, torch.int16, torch.int32, torch.uint8)
"""Dtypes that torch.tensor does not infer."""


def _values(tensor: Tensor) -> str:
    """The numbers of a tensor of any shape as nested lists, with torch's constants."""
    if not tensor.numel():
        return repr(torch.empty(tensor.shape).tolist())
    return numbers.bracketed([_number(value) for value in numbers.flat(tensor)], tensor.shape)


def _number(value: Any) -> str:
    if isinstance(value, float) and not math.isfinite(value):
        return "torch.nan" if math.isnan(value) else "torch.inf" if value > 0 else "-torch.inf"
    return repr(value)


def _argument(constructor: str, key: str, value: Any) -> str:
    """An argument of a constructor, by PyTorch's position for it; a float if it sets the dtype."""
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) if constructor != "full" and value else str(value)
    if key == "base":
        return f"base={value!r}"
    sets_dtype = key == "fill_value" or constructor == "arange"
    return _number(float(value) if sets_dtype else value)
