"""`plot`: functions at the points of one range, or an expression at each pair of points of two."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

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
from gradcli.evaluate.networks import make_inputs
from gradcli.evaluate.run import one_number, run
from gradcli.evidence.notes.notes import collect_notes
from gradcli.language.expressions.program import Expression
from gradcli.options.formula import GivenExpression
from gradcli.results import Subject, grid
from gradcli.show.pieces import single

Slopes = dict[str, Tensor | None]
At = Callable[[Mapping[str, Tensor]], tuple[Tensor, Slopes]]
"""The values and the slopes at points, given by their coordinates, all [points]."""


def compute(request: Plot, job: Job) -> PlotResult | SurfaceResult:
    """The curves or the surface of `request`, every point computed by PyTorch."""
    if not request.inputs:
        return _functions(request, job)
    inputs = make_inputs(
        job,
        {item.name: item.literal for item in request.inputs},
        at=lambda given: {name: given[name][0] for name in _ranges(request, given, job)},
    )
    ranges = _ranges(request, single(inputs), job)
    least = CURVE if len(ranges) == 1 else SURFACE
    filled = tuple(name for name in ranges if len(inputs[name]) == 2)
    inputs |= {name: _between(name, inputs[name], least) for name in filled}
    program = job.program
    if len(ranges) == 2:
        return _surface(program, inputs, ranges, filled, job)
    (name,) = ranges
    curve = _curve(program, inputs, name, job, notes=not filled)
    function = Subject("", program.source.text, inputs, (name,), program=program)
    return PlotResult(
        **job.header("plot", inputs, subjects=_first_not_finite(function, curve)),
        x=inputs[name],
        curves=[curve],
        along=name,
        filled=filled,
        functions=(function,),
        points=(grid(function),),
    )


def _functions(request: Plot, job: Job) -> PlotResult:
    """Functions of x alone, over the same range."""
    x = torch.linspace(LOW, HIGH, POINTS, dtype=job.dtype, device=job.device)
    found: list[Curve] = []
    functions: list[Subject] = []
    subjects: list[Subject] = []
    programs = iter(job.programs)
    for function in request.functions:
        if isinstance(function, GivenExpression):
            job.programs = (next(programs),)
            inputs = make_inputs(job, {}, lambda given: {X: x}, lambda given: {X: x[0]})
            program = job.program
            name, text = program.canonical_text, program.source.text
            found.append(_curve(program, inputs, X, job, notes=False))
            functions.append(Subject(name, text, inputs, (X,), program=program))
            subjects += _first_not_finite(functions[-1], found[-1])
            continue
        found.append(curves.of_call(function, x))
        functions.append(curves.subject(function, x))
        if found[-1].derivative is None:
            job.note("no-derivative", curves.NO_DERIVATIVE.format(function.entry.name))
    if len(functions) == 1:
        functions = [functions[0]._replace(name="")]
    return PlotResult(
        **job.header("plot", {X: x}, [X], subjects),
        x=x,
        curves=found,
        along=X,
        filled=(),
        functions=tuple(functions),
        points=tuple(map(grid, functions)),
    )


def _first_not_finite(function: Subject, curve: Curve) -> list[Subject]:
    """The first point whose value or derivative is not finite, for the note on its origin."""
    finite = curve.value.isfinite()
    if curve.derivative is not None:
        finite &= curve.derivative.isfinite()
    places = (~finite).nonzero()
    return [function._replace(name="").at([int(places[0])])] if len(places) else []


def _ranges(request: Plot, inputs: Mapping[str, Tensor], job: Job) -> list[str]:
    """The one or two inputs that are ranges: those of --wrt, or those of one dimension.

    Raises UsageError for a name that is not an input, ShapeError for none, for more than two, and
    for an input that cannot be a range.
    """
    chosen = job.wrt(request.wrt, inputs, list(inputs)) if request.wrt else []
    ranges = chosen or [name for name, tensor in inputs.items() if tensor.ndim]
    first = next((name for name in ranges if inputs[name].ndim == 1), next(iter(inputs)))
    give_one = f"{first}=-5,5"
    choose = f"choose the range, the other inputs stay whole: --wrt {first}"
    message = "a plot needs one or two ranges, but"
    if not ranges:
        raise ShapeError(f"{message} every input is one number", hint=give_one)
    if len(ranges) > 2:
        raise ShapeError(f"{message} {', '.join(ranges)} are {len(ranges)} ranges", hint=choose)
    for name in ranges:
        tensor = inputs[name]
        floating = tensor.is_floating_point()
        if tensor.ndim != 1 or len(tensor) < 2 or not floating:
            got = f"has shape {list(tensor.shape)}" if floating else f"is {dtype_name(tensor)}"
            message = f"a range must be a 1-D input of two or more floats, but {name} {got}"
            raise ShapeError(message, hint=give_one if name == first else choose)
    return ranges


def _between(name: str, ends: Tensor, least: int) -> Tensor:
    """The points, [points], between two ends, [2], of which the first may be the greater.

    Raises UsageError if the ends are equal or too far apart.
    """
    low, high = ends.tolist()
    range_text = f"{name} goes from {low:g} to {high:g}"
    hint = f"give two different ends, such as {name}=-5,5"
    if low == high:
        raise UsageError(f"{range_text}, which is one point", hint=hint)
    points = ends
    if math.isfinite(high - low):
        count = steps(low, high, least) + 1
        points = torch.linspace(low, high, count, dtype=ends.dtype, device=ends.device)
    if not bool(points.isfinite().all()):
        reason = f"a range needs finite ends, not too far apart for {dtype_name(ends)}"
        raise UsageError(f"{range_text}: {reason}", hint=hint)
    return points


def _at(
    program: Expression,
    inputs: Mapping[str, Tensor],
    ranges: Sequence[str],
    job: Job,
    *,
    notes: bool,
) -> At:
    """The expression as a function of points of the ranges; `notes` if the points are the user's
    own, and so get notes.
    """

    def computed(point: Mapping[str, Tensor]) -> tuple[Tensor, Slopes]:
        done = run(program, {**inputs, **point}, list(ranges), job)
        slopes: Slopes = dict.fromkeys(ranges)
        if done.value.requires_grad:
            with suppress(core.NoDerivativeError):
                slopes = core.gradients(done.value.sum(), done.by)
        return done.value.detach(), slopes

    def together(points: Mapping[str, Tensor]) -> tuple[Tensor, Slopes]:
        value, slopes = computed(points)
        return value.expand_as(points[ranges[0]]), slopes

    def one_by_one(points: Mapping[str, Tensor]) -> tuple[Tensor, Slopes]:
        found = []
        for coordinates in zip(*points.values(), strict=True):
            value, slopes = computed(dict(zip(points, coordinates, strict=True)))
            found.append((one_number(value, "a plot needs one number at each point"), slopes))
            if notes:
                collect_notes(job, {"dead-relu", *(note.code for note in job.notes)})
        slopes_of = {name: _stacked([slopes[name] for _, slopes in found]) for name in ranges}
        return torch.stack([value for value, _ in found]), slopes_of

    x = inputs[ranges[0]]
    numbers = [inputs[name] for name in program.names if name not in ranges]
    plain = all(number.ndim == 0 and number.dtype == x.dtype for number in numbers)
    return together if plain and not notes and curves.pointwise(program) else one_by_one


def _stacked(slopes: Sequence[Tensor | None]) -> Tensor | None:
    """The slopes, [points], NaN where autograd returned None; None if it always did."""
    known = next((slope for slope in slopes if slope is not None), None)
    if known is None:
        return None
    nan = torch.full_like(known, math.nan)
    return torch.stack([nan if slope is None else slope for slope in slopes])


def _curve(
    program: Expression, inputs: Mapping[str, Tensor], name: str, job: Job, *, notes: bool
) -> Curve:
    """The expression at each point of one range, in the order given."""
    x = inputs[name]
    values, slopes = _at(program, inputs, [name], job, notes=notes)({name: x})
    _note_missing(slopes, program, job)
    at = _at(program, inputs, [name], job, notes=False)

    def between(numbers: list[float]) -> list[tuple[float, float]]:
        value, slopes = at({name: x.new_tensor(numbers)})
        slope = slopes[name]
        derivative = [math.nan] * len(numbers) if slope is None else slope.tolist()
        return list(zip(value.tolist(), derivative, strict=True))

    curve = curves.with_jumps(program.canonical_text, x, values, slopes[name], between)
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
    x = {name: inputs[name] for name in ranges}
    grids = torch.meshgrid(*x.values(), indexing="ij")
    points = {name: places.flatten() for name, places in zip(x, grids, strict=True)}
    value, slopes = _at(program, inputs, ranges, job, notes=not filled)(points)
    _note_missing(slopes, program, job)
    job.watched.clear()
    shape = grids[0].shape
    function = Subject("", program.source.text, dict(inputs), tuple(ranges), program=program)
    return SurfaceResult(
        **job.header("plot", inputs),
        x=x,
        value=value.reshape(shape),
        gradients={
            name: None if slope is None else slope.reshape(shape) for name, slope in slopes.items()
        },
        expression=program.canonical_text,
        filled=filled,
        functions=(function,),
        points=(grid(function),),
    )


def _note_missing(slopes: Slopes, program: Expression, job: Job) -> None:
    """Note the ranges by which autograd returned no slope at any point."""
    for name, slope in slopes.items():
        if slope is None:
            code, how = "unused-input", "does not depend on"
            if name in program.names:
                code, how = "no-derivative", "does not depend differentiably on"
            job.note(code, f"{program.canonical_text} {how} {name}: its derivative is null")
