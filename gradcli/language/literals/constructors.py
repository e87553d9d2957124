"""The constructors of tensor literals (`zeros(2,3)`): their parameters and shapes."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from gradcli.errors import LiteralError
from gradcli.language import binding
from gradcli.language.limits import ELEMENTS, LITERAL_DEPTH
from gradcli.language.source import Source, Span
from gradcli.language.suggest import did_you_mean

Shape = tuple[int, ...]
Bound = float | int | Shape
"""A bound argument: a number, a count or a size."""


@dataclass(frozen=True)
class Made:
    """A constructor with all its arguments, by PyTorch's parameter names, and its sign."""

    name: str
    arguments: Mapping[str, Bound]
    shape: Shape
    sign: int
    source: Source = field(compare=False)

    @property
    def random(self) -> bool:
        """Whether its numbers are random."""
        return self.name in ("rand", "randn")


@dataclass(frozen=True)
class Argument:
    """An argument as typed: its keyword or an empty text, its numbers, their shape, its place."""

    keyword: str
    values: tuple[float | int | bool, ...]
    shape: Shape
    span: Span


@dataclass(frozen=True)
class Constructor:
    """The parameters with their defaults, and the shape of the result; that raises ValueError."""

    usage: str
    shape: Callable[..., Shape]

    @cached_property
    def defaults(self) -> dict[str, str]:
        """The parameters in order with their defaults: a number, another parameter, or nothing."""
        parts = [parameter.partition("=") for parameter in self.usage.split(", ")]
        return {name: default for name, _, default in parts}


def _arange(start: float, end: float, step: float) -> Shape:
    """The shape of arange, by PyTorch's own formula. Raises ValueError if there is none."""
    if not all(map(math.isfinite, (start, end, step))):
        raise ValueError("arange needs finite numbers")
    if step == 0:
        raise ValueError("the step of arange must not be 0")
    if (end - start) * math.copysign(1, step) < 0:
        raise ValueError(f"arange cannot reach {end:g} from {start:g} in steps of {step:g}")
    # The quotient may be infinite, but a count may not; a number that large is refused anyway.
    return (math.ceil(min((end - start) / step, 1e300)),)


CONSTRUCTORS: Mapping[str, Constructor] = {
    **dict.fromkeys(("zeros", "ones", "rand", "randn"), Constructor("size", lambda size: size)),
    "full": Constructor("size, fill_value", lambda size, fill_value: size),
    "eye": Constructor("n, m=n", lambda n, m: (n, m)),
    "arange": Constructor("start=0, end, step=1", _arange),
    "linspace": Constructor("start, end, steps", lambda start, end, steps: (steps,)),
    "logspace": Constructor("start, end, steps, base=10", lambda start, end, steps, base: (steps,)),
}

_ELSEWHERE = {
    "dtype": "the dtype is an option: --dtype float64",
    "device": "the device is an option: --device cuda",
    "requires_grad": "every floating-point input gets a gradient, or only those in --wrt",
    "generator": "the seed is an option: --seed 1",
}
"""Keywords of PyTorch's constructors that are options of the command, with the hint."""


def usage(name: str) -> str:
    """The hint for a call of the constructor `name`: `write arange(start=0, end, step=1)`."""
    return f"write {name}({CONSTRUCTORS[name].usage})"


def check_keyword(name: str, keyword: str, place: Span) -> None:
    """Raise LiteralError if the constructor `name` has no parameter `keyword`."""
    parameters = CONSTRUCTORS[name].defaults
    if keyword not in parameters:
        hint = _ELSEWHERE.get(keyword) or did_you_mean(keyword, parameters) or usage(name)
        raise LiteralError(f"{name} has no such argument", span=place, hint=hint)


def bind(name: str, arguments: list[Argument], sign: int, place: Span) -> Made:
    """The constructor `name` with its checked `arguments`; `place` is the whole call.

    Raises LiteralError for a missing or a wrong argument, SizeError for too many elements.
    """

    def error(message: str, argument: Argument | None = None, _: str = "") -> LiteralError:
        return LiteralError(message, span=argument.span if argument else place, hint=usage(name))

    constructor = CONSTRUCTORS[name]
    defaults, parameters = constructor.defaults, [*constructor.defaults]
    positional = [argument for argument in arguments if not argument.keyword]
    if parameters == ["size"] and len(positional) > 1:
        arguments = [_joined(positional), *(argument for argument in arguments if argument.keyword)]
    if len(positional) == 1:  # arange(5) ends at 5
        parameters.insert(0, next(name for name in parameters if not defaults[name]))
    bound: dict[str, Bound] = {}
    pairs = [(argument.keyword, argument) for argument in arguments]
    for parameter, argument in binding.bind(name, parameters, pairs, error):
        bound[parameter] = _READERS.get(parameter, _number)(parameter, argument)
    for parameter, default in defaults.items():
        if parameter not in bound:
            if not default:
                raise error(f"{name} needs {parameter}")
            bound[parameter] = bound[default] if default in bound else float(default)
    try:
        shape = constructor.shape(**bound)
    except ValueError as refusal:
        raise error(str(refusal)) from None
    check_shape(name, shape, place)
    ordered = {parameter: bound[parameter] for parameter in defaults}
    return Made(name, ordered, shape, sign, place.source)


def check_shape(what: str, shape: Shape, place: Span) -> None:
    """Raise SizeError if a tensor of `shape` has too many dimensions or elements."""
    LITERAL_DEPTH.check(len(shape), f"the shape of {what}", span=place, hint="use fewer dimensions")
    # PyTorch computes strides as if no side were 0.
    for count in (*shape, math.prod(side for side in shape if side)):
        ELEMENTS.check(count, what, span=place, hint="use fewer")


def _joined(sizes: list[Argument]) -> Argument:
    """Sizes given one by one, `zeros(2, 3)`, as one argument."""
    for argument in sizes:
        if argument.shape:
            message = "a size in brackets must be the only argument"
            hint = "write zeros(2, 3) or zeros((2, 3))"
            raise LiteralError(message, span=argument.span, hint=hint)
    first, last = sizes[0].span, sizes[-1].span
    values = tuple(argument.values[0] for argument in sizes)
    return Argument("", values, (len(values),), first.source.span(first.start, last.stop))


def _number(parameter: str, argument: Argument) -> float:
    if argument.shape or isinstance(argument.values[0], bool):
        message = f"{parameter} must be one number"
        raise LiteralError(message, span=argument.span, hint="for example 3")
    return float(argument.values[0])


def _whole(parameter: str, argument: Argument) -> int:
    value = _number(parameter, argument)
    if not value.is_integer() or value < 0:
        message = f"{parameter} must be a whole number, 0 or more"
        raise LiteralError(message, span=argument.span, hint="for example 3")
    return int(argument.values[0])


def read_size(parameter: str, argument: Argument) -> Shape:
    """The size in an argument: one whole number or several. Raises LiteralError."""
    numbers = [replace(argument, values=(value,), shape=()) for value in argument.values]
    return tuple(_whole(parameter, number) for number in numbers)


_READERS: Mapping[str, Callable[[str, Argument], Bound]] = {
    "size": read_size, "n": _whole, "m": _whole, "steps": _whole,
}  # fmt: skip
"""How an argument is read, by the name of its parameter; every other one is a number."""
