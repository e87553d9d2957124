"""The arguments of the user's functions, from the inputs and the parameters that they have."""

import inspect
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gradcli.errors import UsageError
from gradcli.language.suggest import did_you_mean

_WHOLE = frozenset(
    {"axis", "dim", "axes", "dims", "stride", "pad", "padding", "dilation", "groups", "kernel_size",
     "pool_size", "num_classes", "n_classes", "num_heads"}
)  # fmt: skip
"""Parameters that are whole numbers by their name, if neither annotation nor default says so."""
_LEARNED = frozenset({"b", "bias", "w", "weight"})
"""Parameters that need a gradient by their name, though a number is their default."""
_PYTHON: Mapping[str, type[Any]] = {"int": int, "float": float, "bool": bool}
_ARRAY = re.compile("Tensor|ndarray|ArrayLike")
_EMPTY = inspect.Parameter.empty


class Arguments:
    """The parameters of a function, and what they are given.

    `values` holds tensors, and Python numbers where annotation or default asks for them. `settings`
    are the tensors of those numbers that only a default asks for. `wrt` are the inputs that must stay
    tensors. Raises UsageError for an input that is not a parameter, and for
    a parameter without a value.
    """

    def __init__(
        self, function: Callable[..., Any], inputs: Mapping[str, Tensor], wrt: Collection[str],
        *, name: str, skip: int = 0, others: Collection[str] = (),
    ) -> None:  # fmt: skip
        try:
            signature = inspect.signature(function)
        except (TypeError, ValueError):
            kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
            signature = inspect.Signature([inspect.Parameter(n, kind) for n in inputs])
        parameters = [*signature.parameters.values()][skip:]
        self.signature = signature.replace(parameters=parameters)
        own = {p.name: p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}
        rest = [p for p in parameters if p.name not in own]
        extra = [each for each in inputs if each not in own and each not in others]
        if extra and not rest:
            known = [*own, *others]
            hint = (
                did_you_mean(extra[0], known) or f"{name} takes {', '.join(known) or 'no inputs'}"
            )
            raise UsageError(f"{name} has no parameter {extra[0]!r}", hint=hint)
        missing = [p.name for p in own.values() if p.default is _EMPTY and p.name not in inputs]
        if missing:
            message = f"{name} needs {', '.join(missing)}"
            given = " ".join(f"{each}=..." for each in missing)
            raise UsageError(message, hint=f"add {given}, or give the parameter a default")
        self.values: dict[str, Any] = {n: inputs[n] for n in (*own, *extra) if n in inputs}
        found = {n: _number(p, inputs[n]) for n, p in own.items() if n in inputs and n not in wrt}
        numbers = {n: number for n, number in found.items() if number is not None}
        settings = [n for n in numbers if n not in _WHOLE and _by_default(own[n])]
        for name in () if wrt else _LEARNED.intersection(settings):
            del numbers[name]
        left = [t for n, t in self.values.items() if n not in numbers and t.is_floating_point()]
        if left or others:  # else numbers that are annotated are what is differentiated
            self.values |= numbers
        self.settings = {n: inputs[n] for n in settings if n not in self.tensors}
        self._own, self._rest = tuple(own), rest

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Those that are tensors, of any shape."""
        return {n: value for n, value in self.values.items() if isinstance(value, Tensor)}

    def bound(self, values: Mapping[str, Any]) -> inspect.BoundArguments:
        """The call with some of the values replaced."""
        merged = {**self.values, **values}
        arguments: dict[str, Any] = {n: merged[n] for n in self._own if n in merged}
        more = {n: value for n, value in merged.items() if n not in self._own}
        for parameter in self._rest:
            if parameter.kind is parameter.VAR_KEYWORD:
                arguments[parameter.name] = more
                break
            arguments[parameter.name], more = tuple(more.values()), {}
        return inspect.BoundArguments(self.signature, arguments)


def _by_default(parameter: inspect.Parameter) -> bool:
    """Whether only its default says that a parameter is a number."""
    return parameter.annotation is _EMPTY and type(parameter.default) in (int, float)


def _number(parameter: inspect.Parameter, tensor: Tensor) -> Any:
    """A Python number or a tuple of them where the parameter is one; None where it is a tensor."""
    default, annotation = parameter.default, parameter.annotation
    written = "" if annotation is _EMPTY else getattr(annotation, "__name__", str(annotation))
    named = re.search(r"\b(int|float|bool)\b", "" if _ARRAY.search(written) else written)
    kind = _PYTHON[named[1]] if named else None
    if kind is None and type(default) in (int, float, bool):
        kind = type(default)
    flat = tensor.reshape(-1).tolist()
    whole = all(float(number).is_integer() for number in flat)
    sizes = isinstance(default, tuple | list) and all(isinstance(item, int) for item in default)
    if sizes and whole:
        return type(default)(map(int, flat))
    if kind is None and parameter.name in _WHOLE and whole:
        return int(flat[0]) if tensor.ndim == 0 else tuple(map(int, flat))
    if kind is None or tensor.ndim:
        return None
    if kind is int and not whole:
        return flat[0] if annotation is _EMPTY else None
    return kind(flat[0])


def floating(values: Sequence[Any]) -> list[Tensor]:
    """The tensors of what a function returned, in float64, in order: of a tuple, list or dict, of
    NumPy arrays and numbers, each in its own shape. Complex tensors stay complex, and anything else
    is left out.
    """
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, tuple | list):
            found += floating(value)
        elif isinstance(value, dict):
            found += floating([*value.values()])
        elif is_complex(value):
            found.append(torch.as_tensor(value))
        elif (tensor := as_tensor(value)) is not None:
            found.append(tensor)
    return found


def as_tensor(value: Any) -> Tensor | None:
    """A tensor, NumPy array or number as a float64 tensor of its shape; None for anything else,
    complex numbers too.
    """
    if is_complex(value):
        return None
    if isinstance(value, Tensor):
        return value.double()
    if isinstance(value, bool | int | float) or hasattr(value, "__array__"):
        try:
            return torch.tensor(value, dtype=torch.float64)
        except (TypeError, ValueError):
            return None
    return None


def is_complex(value: Any) -> bool:
    """Whether this is a complex tensor, NumPy array or number."""
    if isinstance(value, Tensor):
        return value.is_complex()
    return isinstance(value, complex) or getattr(getattr(value, "dtype", None), "kind", "") == "c"
