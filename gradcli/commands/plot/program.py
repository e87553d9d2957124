"""The program of `plot`: functions of the catalogue at all points at once, an expression point by
point.
"""

from collections.abc import Mapping

from torch import Tensor

from gradcli.catalogue.functions import Loss
from gradcli.catalogue.ranges import HIGH, LOW, POINTS, target
from gradcli.commands.plot.request import Plot, X
from gradcli.commands.plot.result import PlotResult, SurfaceResult
from gradcli.language.calls import Call
from gradcli.language.literals.constructors import Made
from gradcli.options.formula import GivenExpression as Expression
from gradcli.show.program.script import Script


def program(script: Script, request: Plot, result: PlotResult | SurfaceResult) -> None:
    """Two lines of numbers for each function of the catalogue, or one for each point of an
    expression.
    """
    if request.inputs or isinstance(result, SurfaceResult):
        _expression(script, request, result)
        return
    points = f"torch.linspace({LOW!r}, {HIGH!r}, {POINTS}"
    whole = list(map(_is_elementwise, request.functions))
    if not all(whole):  # loops bind x again
        script.add(f"{_all(X)} = {points})")
    for function, curve, at_once in zip(request.functions, result.curves, whole, strict=True):
        if not at_once:
            text = (
                function.applied(X, _aim(function, "tensor"))
                if isinstance(function, Call)
                else curve.name
            )
            _loop(script, request, text, {X: result.x}, {X: _all(X)}, {X: curve.derivative})
            continue
        assert isinstance(function, Call)
        if not all(whole):
            script.add(f"x = {_all(X)}.clone().requires_grad_()")
        elif curve is result.curves[0]:
            script.add(f"x = {points}, requires_grad=True)")
            script.show("x", "x")
        script.add(f"y = {script.read(_applied(function), {X: result.x}).value}")
        script.show(_quoted(curve.name), "y")
        if curve.derivative is not None:
            script.show(f"{_quoted(curve.name)}'", "torch.autograd.grad(y.sum(), x)[0]")


def _is_elementwise(function: Call | Expression) -> bool:
    """Whether a function is computed at all points at once."""
    return isinstance(function, Call) and not function.entry.mixes


def _aim(call: Call, constructor: str) -> str:
    """The target of a loss."""
    assert isinstance(call.entry, Loss)
    inside = (
        f"x, {target(call.entry)!r}" if constructor == "full_like" else repr(target(call.entry))
    )
    return f"{constructor}({inside})"


def _quoted(name: str) -> str:
    """A name inside the quotes of a label."""
    return name.replace("\\", "\\\\").replace('"', '\\"')


def _applied(call: Call) -> str:
    """The function of the catalogue as an expression of x, a loss in elements and with the target
    that it is drawn for.
    """
    if not isinstance(call.entry, Loss):
        return call.applied(X)
    return call.compared("none", X, _aim(call, "full_like"))


def _expression(script: Script, request: Plot, result: PlotResult | SurfaceResult) -> None:
    """The loop over the range of an expression, or over two of them, the second inside the
    first.
    """
    if isinstance(result, SurfaceResult):
        text, slopes = result.expression, dict(result.gradients)
    else:
        (curve,) = result.curves
        text, slopes = curve.name, {result.along: curve.derivative}
    made = {
        item.name: script.tensor(
            item.literal, result.inputs[item.name], leaf=False, filled=item.name in result.filled
        )
        for item in request.inputs
    }
    drawn = {
        item.name
        for item in request.inputs
        if isinstance(item.literal, Made) and item.literal.random
    }
    inline = slopes.keys() - drawn if len(slopes) == 1 else set()
    for name in [
        name for name in made if name not in inline
    ]:  # in the order given, which is that of random numbers
        script.add(f"{_all(name) if name in slopes else name} = {made[name]}")
    ranges = {name: made[name] if name in inline else _all(name) for name in slopes}
    _loop(script, request, text, result.inputs, ranges, slopes)


def _loop(
    script: Script, request: Plot, text: str, inputs: Mapping[str, Tensor], ranges: Mapping[str, str],
    slopes: Mapping[str, Tensor | None],
) -> None:  # fmt: skip
    """A loop over every point of the ranges that prints the point, the value and the slopes."""
    depth = ""
    for name, points in ranges.items():
        script.add(f"{depth}for {name} in {points}:")
        depth += "    "
    by = [name for name in ranges if slopes[name] is not None]
    inner = Script(request, inputs)
    inner.add(*(f"{name} = {name}.clone().requires_grad_()" for name in by))
    at = {name: tensor[0] if name in ranges else tensor for name, tensor in inputs.items()}
    value = inner.formula(text, at, "y", "value", "result")
    found = [inner.fresh(f"d_{name}") for name in by]
    if len(by) == 1:
        inner.add(f"{found[0]} = torch.autograd.grad({value}, {by[0]})[0]")
    elif by:
        inner.add(f"{', '.join(found)} = torch.autograd.grad({value}, [{', '.join(by)}])")
    inner.add(f"print({', '.join(f'{name}.tolist()' for name in (*ranges, value, *found))})")
    script.add(*(f"{depth}{line}" for line in inner.lines))


def _all(name: str) -> str:
    """What the program calls all points of a range."""
    return f"all_{name}"
