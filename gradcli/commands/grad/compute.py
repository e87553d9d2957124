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
from gradcli.evaluate.networks import make_inputs
from gradcli.evaluate.refusals import translated
from gradcli.evaluate.run import Run, differentiable, note_unreached, one_number, run
from gradcli.evidence.notes.notes import collect_notes
from gradcli.language.expressions.program import Expression
from gradcli.language.literals.constructors import Made
from gradcli.language.suggest import did_you_mean
from gradcli.results import Points, Subject, step_key

LISTED = 16
"""Random numbers in a note, at most."""

VIA: dict[str, core.Via] = {"grad": "grad", "backward": "backward"}


def compute(request: Grad, job: Job) -> GradResult | GradEachResult:
    """The program of `request` run and differentiated, once or at each point.

    Raises MathError if there is nothing to differentiate, or if the result is not one number and no
    upstream gradient was chosen.
    """
    literals = {name: each for name, each in request.literals.items() if each is not None}
    given = make_inputs(job, literals, at=lambda given: _first_point(request, given))
    return _each(request, given, job) if request.each else _whole(request, given, job)


def _first_point(request: Grad, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    name = request.each or ""
    return {name: given[name][0]} if name in given and given[name].ndim and len(given[name]) else {}


def _whole(request: Grad, given: dict[str, Tensor], job: Job) -> GradResult:
    inputs = _completed(request, given, job)
    chosen = chosen_inputs(request, inputs, given, job)
    done = differentiable(run(job.program, inputs, chosen, job), request.wrt)
    upstream, seed = _upstream(request, done, given, job)
    steps = {step_key(name): step for name, step in done.steps.items() if step.requires_grad}
    by = done.by | steps if steps else done.by
    found = core.gradients(done.value, by, upstream=upstream, via=VIA[request.via])
    _note_unused(done, found, job)
    note_steps(done.program, done.steps, job)
    shown = set(done.by)
    if not request.wrt:  # indices are shown too: their gradients are null
        floating = {name for name, tensor in given.items() if tensor.is_floating_point()}
        shown |= done.indices | (given.keys() - floating)
    program = done.program
    text, title = program.source.text, program.canonical_text
    subject = Subject(
        "", text, inputs, _reached(done, found), upstream, request.fn, done.state, program=program, title=title,
    )  # fmt: skip
    return GradResult(
        **job.header("grad", inputs, [name for name in inputs if name not in given], [subject]),
        expression=title,
        value=done.value,
        gradients={name: found.get(name) for name in inputs if name in shown},
        intermediates={
            name: Intermediate(step, found.get(step_key(name))) for name, step in done.steps.items()
        },
        seed=seed,
        upstream=upstream if request.vjp is not None else None,
    )


def note_steps(program: Expression, steps: Mapping[str, Tensor], job: Job) -> None:
    """Note the steps, of any shape, that are complex, and the names that were assigned more than
    once.
    """
    for name, step in steps.items():
        if step.is_complex():
            text = f"the step {name} is complex: the table shows it, JSON has null"
            job.note("complex-step", text)
    for name in steps:
        count = sum(step.kind == "store" and step.name == name for step in program.steps)
        if count > 1:
            job.note("rebound", f"{name} is assigned {count} times, and the steps show only its last value: "
                     "give each step its own name")  # fmt: skip


def _each(request: Grad, given: dict[str, Tensor], job: Job) -> GradEachResult:
    """Value and gradients at every point of one 1-D input, with the other inputs whole."""
    name, program = request.each, job.program
    if name not in given:
        hint = did_you_mean(name, given) or f"the inputs are {', '.join(given)}"
        raise UsageError(f"--each: there is no input {name!r}", hint=hint)
    points = given[name]
    if points.ndim != 1 or not points.is_floating_point():
        raise ShapeError(
            f"--each needs a 1-D input of floats, and {name} is {dtype_name(points)} of shape {list(points.shape)}",
            hint=f"{name}=linspace(-2,2,5)",
        )
    rows: list[dict[str, Any]] = []
    subjects: list[Subject] = []
    chosen = chosen_inputs(request, given, given, job)
    for point in points:
        inputs = _completed(request, {**given, name: point}, job)
        done = differentiable(run(program, inputs, chosen, job), request.wrt)
        value = one_number(done.value, f"--each needs one number at each point of {name}")
        found = core.gradients(done.value, done.by, via=VIA[request.via])
        _note_unused(done, found, job)
        collect_notes(job, {"dead-relu", *(note.code for note in job.notes)})
        rows.append({name: point, "value": value, "gradients": found})
        subjects.append(done.subject._replace(by=_reached(done, found), call=request.fn))
    defaults = [other for other in request.input_names if other not in given]
    inputs = {**_completed(request, given, job), **given} if defaults else given

    def label(i: int, by: str, place: str) -> str:
        return f"{name}[{i}]" if by == name else f"{place} at {name}[{i}]"

    return GradEachResult(
        **job.header("grad", inputs, defaults),
        expression=program.canonical_text,
        rows=rows,
        each=name,
        points=(Points("", len(subjects), subjects.__getitem__, label),),
    )


def _note_unused(done: Run, found: Mapping[str, Tensor | None], job: Job) -> None:
    for name in done.by:
        if found[name] is None:
            note_unreached(done, name, job, "its gradient is null")


def _reached(done: Run, found: Mapping[str, Tensor | None]) -> tuple[str, ...]:
    """The inputs by which autograd returned a gradient."""
    return tuple([name for name in done.by if found[name] is not None])


def _completed(request: Grad, given: Mapping[str, Tensor], job: Job) -> dict[str, Tensor]:
    """With --fn the defaults added: w = 1, b = 0, and for a loss y = ones like x*w + b."""
    if request.fn is None:
        return dict(given)
    inputs = {"w": job.number(1), "b": job.number(0), **given}
    if "y" in request.input_names and "y" not in given:
        x, w, b = (inputs[name] for name in ("x", "w", "b"))
        with translated("x*w + b", {"x": x, "w": w, "b": b}):
            shape = (x * w + b).shape
        inputs["y"] = torch.ones(shape, dtype=job.dtype, device=job.device)
    return {name: inputs[name] for name in request.input_names}


def chosen_inputs(
    request: Grad, inputs: Mapping[str, Tensor], given: Mapping[str, Tensor], job: Job
) -> list[str]:
    """The inputs to differentiate by: those of --wrt, else every floating-point input that the user
    gave; with --fn not the target. Shapes do not matter.

    Raises what `Job.wrt` raises.
    """
    floating = [name for name, tensor in given.items() if tensor.is_floating_point()]
    default = [name for name in floating if name != "y"] if request.fn else floating
    return job.wrt(request.wrt, inputs, default)


def _upstream(
    request: Grad, done: Run, given: Mapping[str, Tensor], job: Job
) -> tuple[Tensor | None, str]:
    """The upstream gradient, in the shape of the result, and its description; None for one number.

    Raises MathError if the result is not one number and no upstream gradient was chosen, ShapeError
    for one of another shape.
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
    """Random numbers as a literal that --vjp reads back to the same, if they are few."""
    if upstream.numel() > LISTED:
        return f"{upstream.numel()} random numbers, which the table shows next to the result"

    def shortest(number: float) -> float:
        texts = (f"{number:.{digits}g}" for digits in range(6, 18))
        return next(float(text) for text in texts if upstream.new_tensor(float(text)) == number)

    numbers = [shortest(number) for number in upstream.reshape(-1).tolist()]
    literal = torch.tensor(numbers, dtype=torch.float64).reshape(upstream.shape).tolist()
    return str(literal).replace(" ", "")


def _one_hot(value: Tensor, row: tuple[int, ...]) -> Tensor:
    """1 at the chosen element and 0 elsewhere, in the shape of the value.

    Negative indices count from the end. Raises UsageError for an index outside.
    """
    shape = list(value.shape)
    if len(row) != len(shape) or not all(-n <= i < n for i, n in zip(row, shape, strict=True)):
        last = ",".join(str(size - 1) for size in shape)
        inside = value.numel() and value.ndim
        hint = f"the last element is --row {last}" if inside else "leave out --row"
        message = f"--row {','.join(map(str, row))}: the result has shape {shape}"
        raise UsageError(message, hint=hint)
    upstream = torch.zeros_like(value, requires_grad=False)
    upstream[row] = 1
    return upstream


def _hints(request: Grad, done: Run, given: Mapping[str, Tensor], job: Job) -> str:
    """Commands to copy that differentiate a result which is not one number."""
    shape, words = done.value.shape, _words(request)
    ones = shlex.quote(f"ones({','.join(map(str, shape))})")
    hints = [f"grad {words} --row {','.join('0' for _ in shape)}", f"grad {words} --vjp {ones}"]
    along = (name for name in done.by if _is_pointwise(name, request, done, given, job))
    hints += [f"grad {words} --each {name}" for name in islice(along, 1)]
    if request.fn is None:
        hints.append(f"jacobian {words}")
    return "\n".join(f"gradcli {hint}" for hint in hints)


def _is_pointwise(
    name: str, request: Grad, done: Run, given: Mapping[str, Tensor], job: Job
) -> bool:
    """Whether --each works for an input: the first point alone gives the first number."""
    points = done.by[name].detach()
    if points.ndim != 1 or points.shape != done.value.shape or not points.numel():
        return False
    try:
        trial = run(done.program, _completed(request, {**given, name: points[0]}, job), [], job)
    except GradcliError:
        return False
    return trial.value.numel() == 1 and torch.equal(trial.value.reshape(()), done.value[0])


def _words(request: Grad) -> str:
    """The expression and inputs of a call, quoted for a shell."""
    literals = request.literals.items()
    given = {name: literal.source.text for name, literal in literals if literal is not None}
    if request.expression is not None:
        inputs = [f"{name}={text}" for name, text in given.items()]
        return shlex.join([request.expression.given.text, *inputs])
    assert request.fn is not None
    options = [word for name, text in given.items() for word in (f"--{name}", text)]
    return shlex.join(["--fn", request.fn.text, *options])
