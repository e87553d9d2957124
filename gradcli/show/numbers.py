"""Numbers as text: shortest digits that read back to the same number in the dtype, or significant
digits for tables.
"""

import math
from typing import Any

import orjson
import torch
from torch import Tensor

NOT_FINITE = {math.inf: "Infinity", -math.inf: "-Infinity"}


def flat(tensor: Tensor) -> list[Any]:
    """The elements of a tensor of any shape and dtype in row-major order as Python numbers with the
    fewest digits that read back the same.

    A float32 0.1 is the Python number 0.1, not 0.10000000149011612. Not-finite numbers stay floats.
    """
    tensor = tensor.reshape(-1).contiguous()
    if tensor.is_complex():
        return tensor.tolist()
    if tensor.dtype in (torch.float64, torch.bool) or not tensor.is_floating_point():
        return tensor.tolist()
    if tensor.dtype == torch.float32:
        array = tensor.numpy(force=True)
        numbers: list[Any] = orjson.loads(orjson.dumps(array, option=orjson.OPT_SERIALIZE_NUMPY))
        if None in numbers:  # orjson's word for what is not finite
            numbers = [
                float(array[i]) if number is None else number for i, number in enumerate(numbers)
            ]
        return numbers
    if tensor.dtype == torch.float16:
        return [float(str(number)) for number in tensor.numpy()]
    return _shortest_by_trial(tensor)


def _shortest_by_trial(tensor: Tensor) -> list[float]:
    """The shortest digits of a dtype that NumPy does not know (bfloat16): the first of 1, 2, ...
    digits that read back.
    """
    exact = tensor.double().tolist()
    shortest: list[float | None] = [None if math.isfinite(number) else number for number in exact]
    for digits in range(1, 9):
        open_places = [i for i, number in enumerate(shortest) if number is None]
        if not open_places:
            break
        trial = [float(f"{exact[i]:.{digits}g}") for i in open_places]
        same = (torch.tensor(trial, dtype=tensor.dtype) == tensor[open_places]).tolist()
        for i, number, fits in zip(open_places, trial, same, strict=True):
            if fits:
                shortest[i] = number
    return [
        number if short is None else short for number, short in zip(exact, shortest, strict=True)
    ]


def nested(tensor: Tensor) -> Any:
    """A tensor of any shape and dtype as JSON has it: a number or nested lists, not-finite numbers
    as "NaN", "Infinity", "-Infinity".

    A complex tensor, which JSON has no numbers for, is None.
    """
    if tensor.is_complex():
        return None
    numbers = [
        number if not isinstance(number, float) or math.isfinite(number) else spell(number)
        for number in flat(tensor)
    ]
    for size in reversed(tensor.shape[1:]):
        numbers = (
            [numbers[i * size : (i + 1) * size] for i in range(len(numbers) // size)]
            if size
            else []
        )
    if tensor.ndim == 0:
        return numbers[0]
    return numbers if tensor.numel() else torch.empty(tensor.shape).tolist()


def spell(number: float) -> str:
    """The name of a not-finite number in JSON."""
    return NOT_FINITE.get(number, "NaN")


def exact(number: Any) -> str:
    """One number in shortest digits, bare: `2.0`, `1e-7`, `NaN`, `3`, `true`."""
    if isinstance(number, float) and not math.isfinite(number):
        return spell(number)
    return orjson.dumps(number).decode()


def significant(number: Any, digits: int) -> str:
    """A number for a table: exact ones as they are, rounded ones with `digits` significant digits,
    zeros included.

    `0` is for exact zero alone.
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


def shape_text(tensor: Tensor) -> str:
    """A shape as PyTorch prints it: `[2, 3]`, and `[]` for one number."""
    return f"[{', '.join(map(str, tensor.shape))}]"
