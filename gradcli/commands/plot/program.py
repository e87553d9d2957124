"""The program of `plot`: catalogue functions at all points at once, an expression in a loop."""

from collections.abc import Mapping
from typing import TypeGuard

from torch import Tensor

from gradcli.catalogue.functions import Loss
from gradcli.catalogue.ranges import HIGH, LOW, POINTS, target
from gradcli.commands.plot.request import Plot, X
from gradcli.commands.plot.result import PlotResult, SurfaceResult
from gradcli.language.calls import Call
from gradcli.language.literals.constructors import Made
from gradcli.options.formula import GivenExpression
from gradcli.show.program.script import Script


def program(script: Script, request: Plot, result: PlotResult | SurfaceResult) -> None:
    """Write two lines of numbers for each catalogue function, or one for each point."""
    if request.inputs or isinstance(result, SurfaceResult):
        _expression(script, request, result)
        return
    points = f"torch.linspace({LOW!r}, {HIGH!r}, {POINTS}"
    loops = not all(map(_is_elementwise, request.functions))
    if loops:  # they rebind x
        script.add(f"{_all(X)} = {points})")
    for function, curve, subject in zip(
        request.functions, result.curves, result.functions, strict=True
    ):
        if not _is_elementwise(function):
            text = curve.name
            if isinstance(function, Call):
                text = function.applied(X, f"tensor({_target(function)})")
            _loop(script, text, subject.inputs, {X: _all(X)}, {X: curve.derivative})
            continue
        if loops:
            script.add(f"x = {_all(X)}.clone().requires_grad_()")
        elif curve is result.curves[0]:
            script.add(f"x = {points}, requires_grad=True)")
            script.show("x", "x")
        script.add(f"y = {script.read(_applied(function), {X: result.x}).value}")
        script.show(curve.name, "y")
        if curve.derivative is not None:
            script.show(f"{curve.name}'", "torch.autograd.grad(y.sum(), x)[0]")


def _is_elementwise(function: Call | GivenExpression) -> TypeGuard[Call]:
    """Whether a function is computed at all points at once."""
    return isinstance(function, Call) and not function.entry.mixes


def _target(call: Call) -> str:
    assert isinstance(call.entry, Loss)
    return repr(target(call.entry))


def _applied(call: Call) -> str:
    """A catalogue function as an expression of x; a loss unreduced, with its target."""
    if not isinstance(call.entry, Loss):
        return call.applied(X)
    return call.compared("none", X, f"full_like(x, {_target(call)})")


def _expression(script: Script, request: Plot, result: PlotResult | SurfaceResult) -> None:
    """Write the loop over the range of an expression, or over two, the second inside the first."""
    if isinstance(result, SurfaceResult):
        text, slopes = result.expression, dict(result.gradients)
    else:
        (curve,) = result.curves
        text, slopes = curve.name, {result.along: curve.derivative}
    ranges = {name: _all(name) for name in slopes}
    for name, literal in request.literals.items():  # in this order random numbers are drawn
        if name not in ranges:
            script.inputs(
                {n: t for n, t in result.inputs.items() if n == name}, request.literals, []
            )
            continue
        code = script.tensor(literal, result.inputs[name], leaf=False, filled=name in result.filled)
        if len(slopes) == 1 and not (isinstance(literal, Made) and literal.random):
            ranges[name] = code
        else:
            script.add(f"{ranges[name]} = {code}")
    _loop(script, text, result.inputs, ranges, slopes)


def _loop(
    script: Script, text: str, inputs: Mapping[str, Tensor], ranges: Mapping[str, str],
    slopes: Mapping[str, Tensor | None],
) -> None:  # fmt: skip
    """Write a loop over the points of the ranges that prints point, value and slopes."""
    at = {name: tensor[0] if name in ranges else tensor for name, tensor in inputs.items()}
    script.make_modules(text, at)
    given = script.outlasting(text, at, ranges)
    for depth, (name, points) in enumerate(ranges.items()):
        script.add(f"{'    ' * depth}for {given[name]} in {points}:")
    by = [name for name in ranges if slopes[name] is not None]
    inner = script.inner()
    inner.add(*(f"{given[name]} = {given[name]}.clone().requires_grad_()" for name in by))
    inner.add(*(f"{name} = {given[name]}" for name in ranges if given[name] != name))
    value = inner.formula(text, at, "y", "value", "result")
    found = inner.gradients(value, [given[name] for name in by])
    inner.show_row(*given.values(), value, *found)
    script.nest(inner, len(ranges))


def _all(name: str) -> str:
    """The program's name for all points of a range."""
    return f"all_{name}"
