"""What tensor literals call numbers: constants, the not-finite ones, the types that prints name, rows in words."""

import math

from gradcli.language.literals.constructors import Shape

Number = float | int | bool

NOT_FINITE = {sign + name: float(sign + name) for sign in ("", "+", "-") for name in ("nan", "inf", "infinity")}
"""Every usual spelling of the not-finite numbers, in lower case."""

CONSTANTS: dict[str, Number] = {
    "pi": math.pi,
    "e": math.e,
    "True": True,
    "False": False,
    "true": True,
    "false": False,
    "True_": True,
    "False_": False,
}

INTEGERS = {
    f"{'u' * unsigned}int{bits}": (0, 2**bits - 1) if unsigned else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    for unsigned in (False, True)
    for bits in (8, 16, 32, 64)
}
"""The integer types that `tensor(..)` keeps, and what they hold."""

_FLOATS = ("float", "double", "half", "float16", "float32", "float64", "bfloat16", "longdouble")
_ALIASES = {"short": "int16", "int": "int64", "long": "int64", "bool": "bool", "bool_": "bool"}

DTYPES = dict.fromkeys(_FLOATS, "float") | {name: name for name in INTEGERS} | _ALIASES
"""Every type that a printed tensor or number names, and what it is here: `float`, `bool` or an integer type."""

_PREFIXES = ("torch", "np", "numpy", "math")


def bare(name: str) -> str:
    """`name` without the module in front of it: `torch.pi` is `pi`; other dots stay."""
    prefix, _, last = name.rpartition(".")
    return last if prefix in _PREFIXES else name


def describe(row: int, shape: Shape) -> str:
    """A row in words: `row 1 holds 3 numbers`."""
    if len(shape) > 1:
        return f"row {row} has shape {list(shape)}"
    if not shape:
        return f"row {row} is a bare number"
    return f"row {row} has {'one number' if shape == (1,) else f'{shape[0]} numbers'}"
