"""The constructors of tensor literals (`zeros(2,3)`, `linspace(-5,5,9)`): their parameters and the shape they give."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from gradcli.errors import LiteralError
from gradcli.language.limits import ELEMENTS, LITERAL_DEPTH
from gradcli.language.source import Source, Span
from gradcli.language.suggest import did_you_mean

Shape = tuple[int, ...]
Bound = float | int | Shape
"""A bound argument: a number, a count, or a size."""


@dataclass(frozen=True)
class Made:
    """A constructor with every argument bound, by PyTorch's own parameter names, and the sign in front of it."""

    name: str
    arguments: Mapping[str, Bound]
    shape: Shape
    sign: int
    source: Source = field(compare=False)

    @property
    def random(self) -> bool:
        """Whether its numbers are drawn."""
        return self.name in ("rand", "randn")


@dataclass(frozen=True)
class Argument:
    """One argument as it was typed: its keyword or an empty text, its numbers, whether in brackets, and its place."""

    keyword: str
    values: tuple[float | int | bool, ...]
    bracketed: bool
    place: Span


@dataclass(frozen=True)
class Constructor:
    """Parameters in PyTorch's order, their defaults (a number, or the parameter whose value they take), and the shape.

    `alone` is the parameter that a single argument without a keyword fills, where that is not the first.
    """

    parameters: tuple[str, ...]
    shape: Callable[[Mapping[str, Any]], Shape]
    defaults: Mapping[str, float | str] = field(default_factory=dict)
    alone: str = ""


def _arange(arguments: Mapping[str, Any]) -> Shape:
    """How many numbers arange gives, by PyTorch's own formula; ValueError where it gives none or never ends."""
    start, end, step = arguments["start"], arguments["end"], arguments["step"]
    if not all(map(math.isfinite, (start, end, step))):
        raise ValueError("arange needs finite numbers")
    if step == 0:
        raise ValueError("the step of arange must not be 0")
    if (end - start) * math.copysign(1, step) < 0:
        raise ValueError(f"arange cannot reach {end:g} from {start:g} in steps of {step:g}")
    # The quotient may be infinite, and a count may not; a number that large is refused anyway.
    return (math.ceil(min((end - start) / step, 1e300)),)


_SIZED = Constructor(("size",), lambda given: given["size"])

CONSTRUCTORS: Mapping[str, Constructor] = {
    "zeros": _SIZED,
    "ones": _SIZED,
    "rand": _SIZED,
    "randn": _SIZED,
    "full": Constructor(("size", "fill_value"), lambda given: given["size"]),
    "eye": Constructor(("n", "m"), lambda given: (given["n"], given["m"]), {"m": "n"}),
    "arange": Constructor(("start", "end", "step"), _arange, {"start": 0.0, "step": 1.0}, alone="end"),
    "linspace": Constructor(("start", "end", "steps"), lambda given: (given["steps"],)),
    "logspace": Constructor(("start", "end", "steps", "base"), lambda given: (given["steps"],), {"base": 10.0}),
}

_ELSEWHERE = {
    "dtype": "the dtype is an option: --dtype float64",
    "device": "the device is an option: --device cuda",
    "requires_grad": "every floating-point input gets a gradient, or only those in --wrt",
    "generator": "the seed is an option: --seed 1",
}
"""Keywords of PyTorch's constructors that are options of the command, with the cure."""


def signature(name: str) -> str:
    """How the constructor `name` is called: `arange(start=0, end, step=1)`."""
    constructor = CONSTRUCTORS[name]

    def shown(parameter: str) -> str:
        default = constructor.defaults.get(parameter)
        return (
            parameter if default is None else f"{parameter}={default if isinstance(default, str) else f'{default:g}'}"
        )

    return f"{name}({', '.join(map(shown, constructor.parameters))})"


def check_keyword(name: str, keyword: str, place: Span) -> None:
    """Raise LiteralError where the constructor `name` has no parameter `keyword`."""
    parameters = CONSTRUCTORS[name].parameters
    if keyword not in parameters:
        cure = _ELSEWHERE.get(keyword) or did_you_mean(keyword, parameters) or f"write {signature(name)}"
        raise LiteralError(f"{name} has no such argument", place=place, cure=cure)


def bind(name: str, arguments: list[Argument], sign: int, place: Span) -> Made:
    """The constructor `name` with `arguments` bound, each checked; `place` is the whole call.

    Raises LiteralError where arguments are missing, too many or of the wrong kind, SizeError for too many elements.
    """
    constructor = CONSTRUCTORS[name]
    bound: dict[str, Bound] = {}
    for parameter, argument in _named(name, constructor, arguments):
        if parameter in bound:
            raise LiteralError(f"{parameter} is given twice", place=argument.place, cure=f"write {signature(name)}")
        bound[parameter] = _READERS.get(parameter, _number)(parameter, argument)
    for parameter in constructor.parameters:
        default = constructor.defaults.get(parameter)
        if parameter not in bound and default is None:
            raise LiteralError(f"{name} needs {parameter}", place=place, cure=f"write {signature(name)}")
        if default is not None:
            bound.setdefault(parameter, bound[default] if isinstance(default, str) else default)
    try:
        shape = constructor.shape(bound)
    except ValueError as error:
        raise LiteralError(str(error), place=place, cure=f"write {signature(name)}") from None
    check_shape(name, shape, place)
    return Made(name, {parameter: bound[parameter] for parameter in constructor.parameters}, shape, sign, place.source)


def check_shape(what: str, shape: Shape, place: Span) -> None:
    """Raise SizeError where a tensor of `shape` has too many dimensions or elements, or one side that is too long."""
    LITERAL_DEPTH.check(len(shape), f"the shape of {what}", place=place, cure="use fewer dimensions")
    for count in (*shape, math.prod(shape)):
        ELEMENTS.check(count, what, place=place, cure="use fewer")


def _named(name: str, constructor: Constructor, arguments: list[Argument]) -> list[tuple[str, Argument]]:
    """Each argument with the parameter it fills; sizes given one by one (`zeros(2, 3)`) become one argument."""
    parameters = constructor.parameters
    unnamed = [argument for argument in arguments if not argument.keyword]
    if parameters == ("size",) and len(unnamed) > 1:
        unnamed = [_joined(unnamed)]
    if constructor.alone and len(unnamed) == 1:
        parameters = (constructor.alone,)
    if len(unnamed) > len(parameters):
        message = f"{name} takes at most {len(parameters)} arguments"
        raise LiteralError(message, place=unnamed[len(parameters)].place, cure=f"write {signature(name)}")
    named = [(argument.keyword, argument) for argument in arguments if argument.keyword]
    return [*zip(parameters, unnamed, strict=False), *named]


def _joined(sizes: list[Argument]) -> Argument:
    for argument in sizes:
        if argument.bracketed:
            cure = "write zeros(2, 3) or zeros((2, 3))"
            raise LiteralError("a size in brackets must be the only argument", place=argument.place, cure=cure)
    first, last = sizes[0].place, sizes[-1].place
    values = tuple(value for argument in sizes for value in argument.values)
    return Argument("", values, True, first.source.span(first.start, last.stop))


def _number(parameter: str, argument: Argument) -> float:
    if argument.bracketed or isinstance(argument.values[0], bool):
        raise LiteralError(f"{parameter} must be one number", place=argument.place, cure="for example 3")
    return float(argument.values[0])


def _whole(parameter: str, argument: Argument) -> int:
    value = _number(parameter, argument)
    if not value.is_integer() or value < 0:
        raise LiteralError(f"{parameter} must be a whole number, 0 or more", place=argument.place, cure="for example 3")
    return int(argument.values[0])


def read_size(parameter: str, argument: Argument) -> Shape:
    """The size that an argument gives: one whole number or several. Raises LiteralError."""
    return tuple(_whole(parameter, Argument("", (value,), False, argument.place)) for value in argument.values)


_READERS: Mapping[str, Callable[[str, Argument], Bound]] = {
    "size": read_size,
    "n": _whole,
    "m": _whole,
    "steps": _whole,
}
"""How an argument is read, by the name of its parameter; every other one is a number."""
