"""`plot`: functions at the points of one range, or an expression at every pair of points of two."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from gradcli import core
from gradcli.catalogue.ranges import CURVE, HIGH, LOW, POINTS, SURFACE, steps
from gradcli.commands.plot.request import Plot, X
from gradcli.commands.plot.result import PlotResult, SurfaceResult
from gradcli.errors import ShapeError, UsageError
from gradcli.evaluate import curves
from gradcli.evaluate.curves import Curve
from gradcli.evaluate.job import Job, dtype_name
from gradcli.evaluate.run import one_number, run
from gradcli.evidence.notes.notes import collect_notes
from gradcli.language.expressions.program import Expression
from gradcli.options.formula import GivenExpression
from gradcli.results import Subject, grid

Points = Callable[[Mapping[str, Tensor]], tuple[Tensor, dict[str, Tensor | None]]]
"""Value and slopes at one point, given by its coordinates."""


def compute(request: Plot, job: Job) -> PlotResult | SurfaceResult:
    """What `request` draws, every point computed by PyTorch."""
    if not request.inputs:
        return _functions(request, job)
    inputs = {item.name: job.tensor(item.literal) for item in request.inputs}
    ranges = _ranges(request, inputs, job)
    least = CURVE if len(ranges) == 1 else SURFACE
    filled = tuple(name for name in ranges if len(inputs[name]) == 2)
    inputs |= {name: _between(name, inputs[name], least) for name in filled}
    program = job.program
    if len(ranges) == 2:
        return _surface(program, inputs, ranges, filled, job)
    (name,) = ranges
    curve = _curve(program, inputs, name, job, looking=not filled)
    function = Subject("", program.source.text, inputs, (name,), program=program)
    return PlotResult(
        **job.header("plot", inputs, subjects=_first_bad(function, curve)), x=inputs[name], curves=[curve], along=name,
        filled=filled, functions=(function,), points=(grid(function),),
    )  # fmt: skip


def _functions(request: Plot, job: Job) -> PlotResult:
    """Functions of x alone over the range that every one of them has."""
    x = torch.linspace(LOW, HIGH, POINTS, dtype=job.dtype, device=job.device)
    found: list[Curve] = []
    subjects: list[Subject] = []
    drawn: list[Subject] = []
    programs = iter(job.programs)
    for function in request.functions:
        if isinstance(function, GivenExpression):
            program = next(programs)
            found.append(_curve(program, {X: x}, X, job, looking=False))
            drawn.append(
                Subject(program.canonical_text, program.source.text, {X: x}, (X,), program=program)
            )
            subjects += _first_bad(drawn[-1], found[-1])
            continue
        found.append(curves.of_call(function, x))
        drawn.append(curves.subject(function, x))
        if found[-1].derivative is None:
            name = function.entry.name
            job.note("no-derivative", curves.NO_DERIVATIVE.format(name))
    if len(drawn) == 1:
        drawn = [drawn[0]._replace(name="")]
    header = job.header("plot", {X: x}, [X], subjects)
    points = tuple(map(grid, drawn))
    return PlotResult(
        **header, x=x, curves=found, along=X, filled=(), functions=tuple(drawn), points=points
    )


def _first_bad(function: Subject, curve: Curve) -> list[Subject]:
    """The first point at which value or derivative are not finite, for the note that tells where
    that comes from.
    """
    bad = ~torch.isfinite(curve.value)
    if curve.derivative is not None:
        bad |= ~torch.isfinite(curve.derivative)
    return [function._replace(name="").at([int(bad.nonzero()[0])])] if bool(bad.any()) else []


def _ranges(request: Plot, inputs: Mapping[str, Tensor], job: Job) -> list[str]:
    """The one or two inputs that are gone along: those of --wrt, or those of one dimension.

    Raises UsageError and ShapeError where there are none, more, or others that are not single
    numbers.
    """
    asked = job.wrt(request.wrt, inputs, list(inputs)) if request.wrt else []
    ranges = asked or [name for name, tensor in inputs.items() if tensor.ndim]
    some = next((name for name in ranges if inputs[name].ndim == 1), next(iter(inputs)))
    example, whole = f"{some}=-5,5", f"choose the range, the other inputs stay whole: --wrt {some}"
    if not 1 <= len(ranges) <= 2:
        said = (
            f"{', '.join(ranges)} are {len(ranges)} ranges"
            if ranges
            else "every input is one number"
        )
        raise ShapeError(
            f"a plot needs one or two ranges, but {said}", hint=whole if ranges else example
        )
    for name in ranges:
        tensor = inputs[name]
        if tensor.ndim != 1 or len(tensor) < 2 or not tensor.is_floating_point():
            raise ShapeError(
                f"a range must be a 1-D input of two or more floats, but {name} {_described(tensor)}",
                hint=example if name == some else whole,
            )
    return ranges


def _between(name: str, tensor: Tensor, least: int) -> Tensor:
    """The points from one end of a range to the other, which may be the lower one.

    Raises UsageError where nothing lies between the ends, or where they are too far apart.
    """
    low, high = tensor.tolist()
    said, hint = (
        f"{name} goes from {low:g} to {high:g}",
        f"give two different ends, such as {name}=-5,5",
    )
    if low == high:
        raise UsageError(f"{said}, which is one point", hint=hint)
    points = tensor
    if math.isfinite(high - low):
        points = torch.linspace(
            low, high, steps(low, high, least) + 1, dtype=tensor.dtype, device=tensor.device
        )
    if not bool(points.isfinite().all()):
        said += f": a range needs finite ends, not too far apart for {dtype_name(tensor)}"
        raise UsageError(said, hint=hint)
    return points


def _described(tensor: Tensor) -> str:
    if not tensor.is_floating_point():
        return f"is {dtype_name(tensor)}"
    return f"has shape {list(tensor.shape)}"


def _points(
    program: Expression, inputs: Mapping[str, Tensor], ranges: Sequence[str], job: Job
) -> Points:
    """The expression as a function of a point of the ranges."""

    def at(point: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor | None]]:
        done = run(program, {**inputs, **point}, list(ranges), job)
        value = one_number(done.value, "a plot needs one number at each point")
        if not value.requires_grad:
            return value, dict.fromkeys(ranges)
        try:
            return value.detach(), core.gradients(done.value, done.by)
        except core.NoDerivativeError:
            return value.detach(), dict.fromkeys(ranges)

    return at


def _curve(
    program: Expression, inputs: Mapping[str, Tensor], name: str, job: Job, *, looking: bool = True
) -> Curve:
    """The expression at each point of one range in the order given; `looking` for what is worth a
    note at any of them.
    """
    x, at = inputs[name], _points(program, inputs, [name], job)
    values, slopes = [], []
    for point in x.unbind():
        value, found = at({name: point})
        if looking:  # points of ours say nothing of the user's numbers
            collect_notes(job, {"dead-relu", *(note.code for note in job.notes)})
        values.append(value)
        slopes.append(found[name])
    slope = _joined(slopes, x, program, name, job)

    def more(number: float) -> tuple[float, float]:
        value, found = at({name: x.new_tensor(number)})
        derivative = found[name]
        return float(value), float("nan") if derivative is None else float(derivative)

    curve = curves.with_jumps(program.canonical_text, x, torch.stack(values), slope, more)
    job.watched.clear()
    return curve


def _surface(
    program: Expression,
    inputs: Mapping[str, Tensor],
    ranges: Sequence[str],
    filled: tuple[str, ...],
    job: Job,
) -> SurfaceResult:
    """The expression at every pair of points, a row for each point of the first range."""
    first, second = ranges
    at = _points(program, inputs, ranges, job)
    values: list[Tensor] = []
    slopes: dict[str, list[Tensor | None]] = {name: [] for name in ranges}
    for a in inputs[first].unbind():
        for b in inputs[second].unbind():
            value, found = at({first: a, second: b})
            if not filled:
                collect_notes(job, {"dead-relu", *(note.code for note in job.notes)})
            values.append(value)
            for name in ranges:
                slopes[name].append(found[name])
    shape = (len(inputs[first]), len(inputs[second]))
    job.watched.clear()
    joined = {name: _joined(slopes[name], inputs[name], program, name, job) for name in ranges}
    function = Subject("", program.source.text, dict(inputs), tuple(ranges), program=program)
    return SurfaceResult(
        **job.header("plot", inputs),
        x={name: inputs[name] for name in ranges},
        value=torch.stack(values).reshape(shape),
        gradients={
            name: None if slope is None else slope.reshape(shape) for name, slope in joined.items()
        },
        expression=program.canonical_text,
        filled=filled,
        functions=(function,),
        points=(grid(function),),
    )


def _joined(
    slopes: Sequence[Tensor | None], x: Tensor, program: Expression, name: str, job: Job
) -> Tensor | None:
    """The slopes at all points as one tensor, nan where autograd returned None; None where it
    always did, with a note.
    """
    if any(slope is not None for slope in slopes):
        return torch.stack(
            [x.new_tensor(float("nan")) if slope is None else slope for slope in slopes]
        )
    why = "does not depend on" if name not in program.names else "does not depend differentiably on"
    code = "unused-input" if name not in program.names else "no-derivative"
    job.note(code, f"{program.canonical_text} {why} {name}: its derivative is null")
    return None
