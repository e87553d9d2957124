"""`grad`: the value of an expression, and its gradient for each input and each named step."""

import shlex
from collections.abc import Mapping
from itertools import chain, combinations, islice
from typing import Any

import torch
from torch import Tensor

from gradcli import core
from gradcli.commands.grad.request import Grad
from gradcli.commands.grad.result import GradEachResult, GradResult, Intermediate
from gradcli.errors import GradcliError, MathError, ShapeError, UsageError
from gradcli.evaluate.directions import Directions, drawn
from gradcli.evaluate.job import Job
from gradcli.evaluate.networks import make_inputs
from gradcli.evaluate.refusals import translated
from gradcli.evaluate.run import (
    Run,
    differentiable,
    note_steps,
    note_unreached,
    one_number,
    run,
)
from gradcli.evaluate.trace import pushed
from gradcli.evidence.notes.notes import collect_notes
from gradcli.language.limits import ELEMENTS
from gradcli.language.literals.constructors import Made
from gradcli.language.source import Source
from gradcli.language.suggest import did_you_mean
from gradcli.results import Inputs, Points, Subject, step_key

TRIALS = 16
"""Sets of inputs that are tried for a hint of --each, at most."""

VIA: dict[str, core.Via] = {"grad": "grad", "backward": "backward"}


def compute(request: Grad, job: Job) -> GradResult | GradEachResult:
    """The program of `request` run and differentiated, once or at each point.

    Raises MathError if there is nothing to differentiate, or if the result is not one number and no
    upstream gradient was chosen.
    """
    literals = {name: each for name, each in request.literals.items() if each is not None}
    along = Directions(request.jvp, job, "--jvp")
    given = make_inputs(job, literals, along.made, lambda given: _first_sample(request, given))
    return _each(request, given, job) if request.each else _whole(request, given, along, job)


def _first_sample(request: Grad, given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    several = (name for name in request.each if name in given and given[name].ndim)
    return {name: given[name][0] for name in several if len(given[name])}


def _whole(request: Grad, given: dict[str, Tensor], along: Directions, job: Job) -> GradResult:
    inputs = _completed(request, given, job)
    chosen = chosen_inputs(request, inputs, given, job)
    along.fit(inputs)
    recording = [name for name in inputs if name in chosen or name in along]
    recorded = differentiable(run(job.program, inputs, recording, job), request.wrt)
    done = recorded._replace(by={n: t for n, t in recorded.by.items() if n in chosen})
    found: dict[str, Tensor | None] = {}
    subjects, upstream, seed = [], None, ""
    # Without the leaves of this run: evidence records by the inputs that were reached alone.
    subject = done.subject._replace(inputs=inputs, title=done.program.canonical_text)
    if reverse := not _only_forward(request, done):
        upstream, seed = _upstream(request, done, given, job)
        steps = {step_key(name): step for name, step in done.steps.items() if step.requires_grad}
        via = VIA[request.via]
        found = core.gradients(done.value, done.by | steps, upstream=upstream, via=via)
        reached = _reached(done, found, job)
        subjects.append(subject._replace(by=reached, upstream=upstream, call=request.fn))
    note_steps(done.program, done.steps, job)
    jvp: Tensor | None = None
    tangents: dict[str, Tensor] = {}
    if along:
        jvp, tangents = _pushed(request, recorded, inputs, along, job)
        output = "jvp_" if "jvp" in inputs else "jvp"  # its check is by input
        subjects.append(
            subject._replace(by=tuple(along), kind="jvp", output=output, directions=along)
        )
    return GradResult(
        **job.header("grad", inputs, [name for name in inputs if name not in given], subjects),
        expression=subject.title,
        value=done.value,
        gradients=_shown(request, done, found, given) if reverse else None,
        intermediates={
            name: Intermediate(step, found.get(step_key(name)), tangents.get(name))
            for name, step in done.steps.items()
        },
        jvp=jvp,
        seed=seed,
        upstream=upstream if request.vjp is not None else None,
    )


def _shown(
    request: Grad, done: Run, found: Mapping[str, Tensor | None], given: Inputs
) -> dict[str, Tensor | None]:
    """The gradients in the order of the inputs. Without --wrt those of class indices and of integer
    inputs are shown too: None.
    """
    shown = set(done.by)
    if not request.wrt:
        shown |= done.indices | {n for n, t in given.items() if not t.is_floating_point()}
    return {name: found.get(name) for name in done.inputs if name in shown}


def _only_forward(request: Grad, done: Run) -> bool:
    """Whether the result is not one number and only --jvp differentiates it.

    Raises UsageError for options of gradients then.
    """
    chosen = request.row is not None or request.vjp is not None
    if not request.jvp or chosen or done.value.numel() == 1:
        return False
    if unused := next((name for name in request.order if name in ("wrt", "via")), ""):
        shape = list(done.value.shape)
        message = f"--{unused} is about gradients: a result of shape {shape} has none without --row or --vjp"
        raise UsageError(message, hint=f"leave out --{unused}: --jvp alone chooses the inputs")
    core.check_recorded(done.value)
    return True


def _pushed(
    request: Grad, done: Run, inputs: Inputs, along: Inputs, job: Job
) -> tuple[Tensor, dict[str, Tensor]]:
    """The jvp and the tangents of the steps; notes the directions that lead nowhere."""
    try:
        found = pushed(done.program, inputs, along, done.state, job.before)
    except core.NoForwardError as error:
        error.hint = _by_reverse(request, done)
        raise
    reached = core.reached(done.value, done.inputs)
    for name in along:
        if name not in reached:
            note_unreached(done, name, job.note, "its direction adds nothing to the jvp")
    return found


def _by_reverse(request: Grad, done: Run) -> str:
    """Commands to copy that give in reverse mode what the jvp is made of."""
    words = _words(request)
    if done.value.numel() == 1:
        return (
            f"reverse mode has it: the jvp is the sum of gradient * direction\ngradcli grad {words}"
        )
    lines = ["reverse mode has it: the jvp is the Jacobian times the direction"]
    if request.fn is None:
        lines.append(f"gradcli jacobian {words}")
    lines.append(f"gradcli grad {words} --vjp {shlex.quote(_ones(done.value))}")
    return "\n".join(lines)


def _each(request: Grad, given: dict[str, Tensor], job: Job) -> GradEachResult:
    """Value and gradients of every sample of the inputs in --each, with the other inputs whole."""
    names, program = request.each, job.program
    total = _samples(request, given)
    chosen = chosen_inputs(request, given, given, job)
    for name in chosen:
        size = given[name].numel() * (1 if name in names else total)
        ELEMENTS.check(size, f"the gradients for {name}, one for each sample")
    rows: list[dict[str, Any]] = []
    subjects: list[Subject] = []
    for i in range(total):
        sample = {name: given[name][i] for name in names}
        inputs = _completed(request, {**given, **sample}, job)
        done = differentiable(run(program, inputs, chosen, job), request.wrt)
        value = one_number(done.value, f"--each needs one number for each sample of {names[0]}")
        found = core.gradients(done.value, done.by, via=VIA[request.via])
        reached = _reached(done, found, job)
        collect_notes(job, {"dead-relu", *(note.code for note in job.notes)})
        gradients = _shown(request, done, found, given)
        rows.append({**sample, "value": value, "gradients": gradients})
        subjects.append(done.subject._replace(by=reached, call=request.fn))
    defaults = [other for other in request.input_names if other not in given]
    inputs = {**_completed(request, given, job), **given} if defaults else given

    def label(i: int, by: str, place: str) -> str:
        if by not in names:
            return f"{place} at {names[0]}[{i}]"
        inside = place.removeprefix(by)[1:]  # `0,1]` of `x[0,1]`
        return f"{by}[{i},{inside}" if inside else f"{by}[{i}]"

    return GradEachResult(
        **job.header("grad", inputs, defaults),
        expression=program.canonical_text,
        rows=rows,
        each=names,
        points=(Points("", len(subjects), subjects.__getitem__, label),),
    )


def _samples(request: Grad, given: Mapping[str, Tensor]) -> int:
    """The number of samples of the inputs in --each.

    Raises UsageError for a name that is not an input, ShapeError for one number, or for inputs
    whose first dimensions differ.
    """
    typed, first = Source(",".join(request.each), "--each"), request.each[0]
    for number, name in enumerate(request.each):
        if name not in given:
            hint = did_you_mean(name, given) or f"the inputs are {', '.join(given)}"
            start = len(",".join((*request.each[:number], "")))
            place = typed.span(start, start + len(name))
            raise UsageError(f"there is no input {name!r}", span=place, hint=hint)
        if (literal := request.literals.get(name)) is None or "." in name:
            message = f"--each goes along samples, but {name} is a parameter"
            raise UsageError(
                message,
                hint="--each takes inputs, such as x and y; the gradient for each parameter is in every row",
            )
        if not given[name].ndim:
            message = f"--each goes along the first dimension of {name}, but {name} is one number"
            hint = f"give one number for each sample, {name}=1,2,3, or leave {name} out of --each"
            raise ShapeError(message, span=literal.source.whole, hint=hint)
        if len(given[name]) != len(given[first]):
            shapes = f"{list(given[first].shape)} and {list(given[name].shape)}"
            raise ShapeError(
                f"--each goes along the first dimension of {first} and {name} together, but their shapes are {shapes}",
                span=literal.source.whole,
                hint=f"give as many samples of each, or leave {name} out of --each to keep it whole",
            )
    return len(given[first])


def _reached(done: Run, found: Mapping[str, Tensor | None], job: Job) -> tuple[str, ...]:
    """The inputs by which autograd returned a gradient; notes the others."""
    for name in done.by:
        if found[name] is None:
            note_unreached(done, name, job.note, "its gradient is null")
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
    """The inputs, of any shape, to differentiate by: those of --wrt, else every floating-point
    input that the user gave; with --fn not the target.

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
            job.note("upstream", f"--vjp drew {drawn(upstream)}")
        return upstream, "the result with the given upstream gradient"
    if value.numel() != 1:
        message = f"the result is not one number: its shape is {list(value.shape)}"
        raise MathError(message, hint=_hints(request, done, given, job), why_entry="non-scalar")
    return None, ""


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
    """Commands to copy that differentiate a result which is not one number, or just show it."""
    free = _words(request) if request.fn is None else _free_words(done, request)
    if not done.value.requires_grad:
        return f"gradcli value {free}"
    value, words = done.value, _words(request)
    hints = [f"grad {words} --row {','.join('0' * value.ndim)}"] if value.numel() else []
    hints.append(f"grad {words} --vjp {shlex.quote(_ones(value))}")
    for name, tensor in islice(done.by.items(), 1):
        hints.append(f"grad {words} --jvp {shlex.quote(f'{name}={_ones(tensor)}')}")
    if names := _along(request, done, given, job):
        hints.append(f"grad {words} --each {','.join(names)}")
    return "\n".join(f"gradcli {hint}" for hint in (*hints, f"jacobian {free}", f"value {free}"))


def _along(request: Grad, done: Run, given: Mapping[str, Tensor], job: Job) -> tuple[str, ...]:
    """The fewest inputs for which --each works: their first sample alone gives the first number."""
    value = done.value.detach().double().reshape(-1)
    if done.value.shape[:1] != value.shape or not len(value):
        return ()
    fitting = [name for name, tensor in given.items() if tensor.ndim and len(tensor) == len(value)]
    sets = chain.from_iterable(combinations(fitting, size + 1) for size in range(len(fitting)))
    for names in islice(sets, TRIALS):
        first = {name: given[name][0] for name in names}
        try:
            trial = run(done.program, _completed(request, {**given, **first}, job), [], job).value
        except GradcliError:
            continue
        number = trial.double().reshape(-1)
        if len(number) == 1 and torch.allclose(number, value[:1], equal_nan=True):
            return names
    return ()


def _ones(tensor: Tensor) -> str:
    """A literal of ones in the shape of a tensor."""
    return f"ones({','.join(map(str, tensor.shape))})" if tensor.ndim else "1"


def _words(request: Grad) -> str:
    """The expression and inputs of a call, quoted for a shell."""
    inputs = [f"{name}={text}" for name, text in _texts(request).items()]
    if request.fn is not None:
        return shlex.join(["--fn", request.fn.text, *inputs])
    assert request.expression is not None
    return shlex.join([request.expression.given.text, *inputs])


def _free_words(done: Run, request: Grad) -> str:
    """The same for a command without --fn: the expression that it is short for, with the defaults."""
    texts = _texts(request)
    for name, tensor in done.inputs.items():
        texts.setdefault(name, _ones(tensor) if tensor.ndim else f"{tensor.item():g}")
    inputs = [f"{name}={text}" for name, text in texts.items()]
    return shlex.join([done.program.source.text, *inputs])


def _texts(request: Grad) -> dict[str, str]:
    """What was given for each input."""
    literals = request.literals.items()
    return {name: literal.source.text for name, literal in literals if literal is not None}
