"""Numbers as text: the significant digits of tables, and the shortest digits that read back to the
same number in the dtype (G. Steele and J. White, "How to print floating-point numbers accurately",
1990), as orjson and NumPy find them.
"""

import math
from collections.abc import Sequence
from typing import Any

import orjson
import torch
from torch import Tensor

NOT_FINITE = {math.inf: "Infinity", -math.inf: "-Infinity"}


def flat(tensor: Tensor) -> list[Any]:
    """The elements of a tensor of any shape and dtype, in row-major order, as Python numbers with
    the shortest digits that read back to the same element.

    A float32 0.1 gives 0.1, not 0.10000000149011612. Numbers that are not finite stay floats.
    """
    tensor = tensor.reshape(-1).contiguous()
    if tensor.dtype == torch.float64 or not tensor.is_floating_point():
        return tensor.tolist()
    if tensor.dtype == torch.float32:
        array = tensor.numpy(force=True)
        numbers: list[Any] = orjson.loads(orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY))
        if None in numbers:  # orjson writes null for a number that is not finite
            pairs = zip(numbers, array, strict=True)
            return [float(exact) if number is None else number for number, exact in pairs]
        return numbers
    if tensor.dtype == torch.float16:
        return [float(str(number)) for number in tensor.numpy()]
    return _shortest_by_trial(tensor)


def _shortest_by_trial(tensor: Tensor) -> list[float]:
    """`flat` of bfloat16 [n], which NumPy lacks: 1, 2, ... digits until an element reads back."""
    shortest: list[float] = tensor.double().tolist()
    rest = [i for i, number in enumerate(shortest) if math.isfinite(number)]
    for digits in range(1, 9):
        trial = [float(f"{shortest[i]:.{digits}g}") for i in rest]
        same = (torch.tensor(trial, dtype=tensor.dtype) == tensor[rest]).tolist()
        for i, number, fits in zip(rest, trial, same, strict=True):
            shortest[i] = number if fits else shortest[i]
        rest = [i for i, fits in zip(rest, same, strict=True) if not fits]
    return shortest


def bracketed(texts: list[str], shape: Sequence[int]) -> str:
    """The elements of a tensor as text in nested brackets; an empty dimension is `[]`."""
    for size in reversed(shape):
        starts = range(0, len(texts), max(1, size))
        texts = [f"[{', '.join(texts[i : i + size])}]" for i in starts] or ["[]"]
    return texts[0]


def spell(number: float) -> str:
    """The name in JSON of a number that is not finite."""
    return NOT_FINITE.get(number, "NaN")


def exact(number: Any) -> str:
    """One number in shortest digits, bare: `2.0`, `1e-7`, `NaN`, `3`, `true`."""
    if isinstance(number, float) and not math.isfinite(number):
        return spell(number)
    return orjson.dumps(number).decode()


def significant(number: Any, digits: int) -> str:
    """A number for a table in at most `digits` significant digits; a rounded one has all of them,
    trailing zeros included, and only an exact zero is `0`.
    """
    if isinstance(number, complex):
        sign = "-" if number.imag < 0 else "+"
        return f"{significant(number.real, digits)}{sign}{significant(abs(number.imag), digits)}j"
    if isinstance(number, bool | int):
        return str(number)
    if number - number != 0:
        return "nan" if number != number else "inf" if number > 0 else "-inf"
    if number == 0:
        return "0"
    short = f"{number:.{digits}g}"
    return short if float(short) == number else f"{number:#.{digits}g}".removesuffix(".")


def texts(tensor: Tensor, digits: int) -> list[str]:
    """`significant` of each element of a tensor [n], in a fraction of the time."""
    if not tensor.is_floating_point() or not len(tensor):
        return [significant(number, digits) for number in flat(tensor)]
    exact = tuple(flat(tensor + 0.0))  # -0 becomes 0
    rounded = (f"%#.{digits}g\n" * len(exact) % exact).split("\n")[:-1]

    def short(number: float, text: str) -> str:
        return significant(number, digits) if "e" in text else text.rstrip("0").rstrip(".")

    return [
        short(number, text) if float(text) == number else text.removesuffix(".")
        for number, text in zip(exact, rounded, strict=True)
    ]


def shape_text(tensor: Tensor) -> str:
    """A shape as PyTorch prints it: `[2, 3]`, and `[]` for one number."""
    return f"[{', '.join(map(str, tensor.shape))}]"
