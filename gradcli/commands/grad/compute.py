"""`grad`: the value of an expression, and its gradient by each input and each named step."""

import shlex
from collections.abc import Mapping
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from gradcli import core
from gradcli.commands.grad.request import Grad
from gradcli.commands.grad.result import GradEachResult, GradResult, Intermediate
from gradcli.errors import GradcliError, MathError, ShapeError, UsageError
from gradcli.evaluate.job import Job, dtype_name
from gradcli.evaluate.refusals import translated
from gradcli.evaluate.run import Run, differentiable, note_unreached, one_number, run
from gradcli.evidence.notes.notes import collect_notes
from gradcli.language.literals.constructors import Made
from gradcli.language.suggest import did_you_mean
from gradcli.results import Points, Subject

LISTED = 16
"""Numbers that were drawn which a note lists, at most."""

_VIA: dict[str, core.Via] = {"grad": "grad", "backward": "backward"}


def compute(request: Grad, job: Job) -> GradResult | GradEachResult:
    """The program of `request` run and differentiated, as a whole or point by point.

    Raises MathError where there is nothing to differentiate, or where the result is not one number
    and no upstream gradient was chosen.
    """
    given = _given(request, job)
    return _each(request, given, job) if request.each else _whole(request, given, job)


def _whole(request: Grad, given: dict[str, Tensor], job: Job) -> GradResult:
    inputs = _completed(request, given, job)
    chosen = job.wrt(request.wrt, inputs, _default_wrt(request, given))
    done = differentiable(run(job.program, inputs, chosen, job), request.wrt)
    upstream, seed = _upstream(request, done, given, job)
    steps = {_step(name): step for name, step in done.steps.items() if step.requires_grad}
    by = done.by | steps if steps else done.by
    found = core.gradients(done.value, by, upstream=upstream, via=_VIA[request.via])
    _note_unused(done, found, job)
    for name, step in done.steps.items():
        if step.is_complex():
            job.note(
                "complex-step", f"the step {name} is complex: the table shows it, JSON has null"
            )
    for name in done.steps:
        if (
            count := sum(step.kind == "store" and step.name == name for step in done.program.steps)
        ) > 1:
            job.note("rebound", f"{name} is assigned {count} times, and the steps show only its last value: "
                     "give each step its own name")  # fmt: skip
    null = [
        name
        for name in given
        if not request.wrt and (not given[name].is_floating_point() or name in done.indices)
    ]
    reached = tuple([name for name in done.by if found[name] is not None])
    program = done.program
    subject = Subject(
        "", program.source.text, inputs, reached, upstream, request.fn, done.state, program=program,
        title=program.canonical_text,
    )  # fmt: skip
    return GradResult(
        **job.header("grad", inputs, [name for name in inputs if name not in given], [subject]),
        expression=done.program.canonical_text,
        value=done.value,
        gradients={name: found.get(name) for name in inputs if name in done.by or name in null},
        intermediates={
            name: Intermediate(step, found.get(_step(name))) for name, step in done.steps.items()
        },
        seed=seed,
        upstream=upstream if request.vjp is not None else None,
    )


def _step(name: str) -> str:
    """The key of a step beside the inputs, one of which it may have taken the name from."""
    return f"{name} "


def _each(request: Grad, given: dict[str, Tensor], job: Job) -> GradEachResult:
    """Value and gradients at every point of one 1-D input, the point as one number, the other
    inputs whole.
    """
    name = request.each
    if name not in given:
        hint = did_you_mean(name, given) or f"the inputs are {', '.join(given)}"
        raise UsageError(f"--each: there is no input {name!r}", hint=hint)
    points = given[name]
    if points.ndim != 1 or not points.is_floating_point():
        raise ShapeError(
            f"--each needs a 1-D input of floats, and {name} is {dtype_name(points)} of shape {list(points.shape)}",
            hint=f"{name}=linspace(-2,2,5)",
        )
    program = job.program
    rows: list[dict[str, Any]] = []
    pointwise: list[Subject] = []
    chosen = job.wrt(request.wrt, given, _default_wrt(request, given))
    for point in points:
        done = differentiable(
            run(program, _completed(request, {**given, name: point}, job), chosen, job), request.wrt
        )
        value = one_number(done.value, f"--each needs one number at each point of {name}")
        found = core.gradients(done.value, done.by, via=_VIA[request.via])
        _note_unused(done, found, job)
        collect_notes(job, {"dead-relu", *(note.code for note in job.notes)})
        rows.append({name: point, "value": value, "gradients": found})
        reached = tuple([other for other in done.by if found[other] is not None])
        pointwise.append(done.subject._replace(by=reached, call=request.fn))
    defaults = [other for other in request.input_names if other not in given]
    inputs = (
        given if not defaults else {**_completed(request, {**given, name: points}, job), **given}
    )

    def label(i: int, by: str, place: str) -> str:
        return f"{name}[{i}]" if by == name else f"{place} at {name}[{i}]"

    found_at = Points("", len(pointwise), pointwise.__getitem__, label)
    return GradEachResult(
        **job.header("grad", inputs, defaults), expression=program.canonical_text, rows=rows, each=name, points=(found_at,),
    )  # fmt: skip


def _note_unused(done: Run, found: Mapping[str, Tensor | None], job: Job) -> None:
    for name in done.by:
        if found[name] is None:
            note_unreached(done, name, job, "its gradient is null")


def _given(request: Grad, job: Job) -> dict[str, Tensor]:
    """The inputs that the user gave, made in the order given."""
    if request.fn is None:
        return {item.name: job.tensor(item.literal) for item in request.inputs}
    literals = {name: getattr(request, name) for name in request.input_names}
    return {name: job.tensor(literal) for name, literal in literals.items() if literal is not None}


def _completed(request: Grad, given: Mapping[str, Tensor], job: Job) -> dict[str, Tensor]:
    """With --fn the defaults added: w = 1, b = 0, and for a loss y = ones in the shape of x*w +
    b.
    """
    if request.fn is None:
        return dict(given)
    inputs = {
        "x": given["x"],
        "w": given.get("w", job.number(1)),
        "b": given.get("b", job.number(0)),
    }
    if "y" in given:
        inputs["y"] = given["y"]
    elif "y" in request.input_names:
        with translated("x*w + b", inputs):
            shape = (inputs["x"] * inputs["w"] + inputs["b"]).shape
        inputs["y"] = torch.ones(shape, dtype=job.dtype, device=job.device)
    return {name: inputs[name] for name in request.input_names}


def _default_wrt(request: Grad, given: Mapping[str, Tensor]) -> list[str]:
    """Every floating-point input that the user gave; with --fn not the target."""
    return [
        name
        for name, tensor in given.items()
        if tensor.is_floating_point() and not (request.fn and name == "y")
    ]


def _upstream(
    request: Grad, done: Run, given: Mapping[str, Tensor], job: Job
) -> tuple[Tensor | None, str]:
    """The upstream gradient in the shape of the result, and what to call it; None where the result
    is one number.
    """
    value = done.value
    if request.row is not None:
        return _one_hot(value, request.row), f"row {','.join(map(str, request.row))}"
    if request.vjp is not None:
        upstream = job.tensor(request.vjp).to(value.dtype)
        if upstream.shape != value.shape:
            raise ShapeError(
                f"--vjp: the upstream gradient has shape {list(upstream.shape)}, but the result has {list(value.shape)}",
                hint="give one number for each element of the result", why_entry="vjp-shape",
            )  # fmt: skip
        if isinstance(request.vjp, Made) and request.vjp.random:
            job.note("upstream", f"--vjp drew {_drawn(upstream)}")
        return upstream, "the result with the given upstream gradient"
    if value.numel() != 1:
        message = f"the result is not one number: its shape is {list(value.shape)}"
        raise MathError(message, hint=_hints(request, done, given, job), why_entry="non-scalar")
    return None, ""


def _drawn(upstream: Tensor) -> str:
    """Random numbers as a literal that --vjp reads back to the same, where they are few."""
    if upstream.numel() > LISTED:
        return f"{upstream.numel()} random numbers, which the table shows next to the result"
    shortest = torch.tensor(
        [
            next(
                short
                for digits in range(6, 18)
                if upstream.new_tensor(short := float(f"{number:.{digits}g}")) == number
            )
            for number in upstream.reshape(-1).tolist()
        ],
        dtype=torch.float64,
    )
    return str(shortest.reshape(upstream.shape).tolist()).replace(" ", "")


def _one_hot(value: Tensor, row: tuple[int, ...]) -> Tensor:
    """1 at the chosen element, 0 elsewhere; negative indices count from the end."""
    inside = len(row) == value.ndim and all(
        -size <= i < size for i, size in zip(row, value.shape, strict=True)
    )
    if not inside:
        last = ",".join(str(size - 1) for size in value.shape)
        hint = (
            f"the last element is --row {last}"
            if value.numel() and value.ndim
            else "leave out --row"
        )
        raise UsageError(
            f"--row {','.join(map(str, row))}: the result has shape {list(value.shape)}", hint=hint
        )
    upstream = torch.zeros_like(value, requires_grad=False)
    upstream[row] = 1
    return upstream


def _hints(request: Grad, done: Run, given: Mapping[str, Tensor], job: Job) -> str:
    """The ways out of a result that is not one number, as commands to copy."""
    shape = done.value.shape
    words = _words(request)
    first = ",".join("0" for _ in shape)
    ones = shlex.quote(f"ones({','.join(map(str, shape))})")
    hints = [f"gradcli grad {words} --row {first}", f"gradcli grad {words} --vjp {ones}"]
    along = (name for name in done.by if _works_along(name, request, done, given, job))
    hints += [f"gradcli grad {words} --each {name}" for name in islice(along, 1)]
    if request.fn is None:
        hints.append(f"gradcli jacobian {words}")
    return "\n".join(hints)


def _works_along(
    name: str, request: Grad, done: Run, given: Mapping[str, Tensor], job: Job
) -> bool:
    """Whether the result goes point by point along an input: found by trying the first point."""
    points = done.by[name].detach()
    if points.ndim != 1 or points.shape != done.value.shape or not points.numel():
        return False
    try:
        trial = run(done.program, _completed(request, {**given, name: points[0]}, job), [], job)
    except GradcliError:
        return False
    return trial.value.numel() == 1 and torch.equal(trial.value.reshape(()), done.value[0])


def _words(request: Grad) -> str:
    """The words that the command was given, quoted for a shell."""
    if request.expression is not None:
        inputs = [f"{item.name}={item.literal.source.text}" for item in request.inputs]
        return shlex.join([request.expression.given.text, *inputs])
    assert request.fn is not None
    given = {name: getattr(request, name) for name in request.input_names}
    words = ["--fn", request.fn.text]
    for name, literal in given.items():
        if literal is not None:
            words += [f"--{name}", literal.source.text]
    return shlex.join(words)
