"""`derive`: the formulas of the gradients, and one number for each input that was not given."""

from collections.abc import Mapping
from contextlib import suppress

import torch
from torch import Tensor

from gradcli import core
from gradcli.commands.derive.request import Derive
from gradcli.commands.derive.result import DeriveResult
from gradcli.errors import GradcliError
from gradcli.evaluate.job import Job
from gradcli.evaluate.machine import evaluate
from gradcli.evaluate.run import Run, note_steps, run_expression
from gradcli.evidence.derive.derive import derive
from gradcli.evidence.derive.unfolded import unfolded
from gradcli.language.expressions import expression
from gradcli.language.source import Source
from gradcli.show.mathematics import Mathematics

_RANGES = ((0.5, 1.5), (0.1, 0.9), (1.5, 3.0), (-0.9, -0.1), (-3.0, -1.5), (-1.0, 1.0), (5.0, 20.0))
"""Where inputs that are not given are looked for, in this order: most functions have a value in the
first one, probabilities in the second."""
_GOLDEN = 0.618034
"""The golden ratio, whose multiples modulo 1 fill an interval evenly (a Weyl sequence)."""


def compute(request: Derive, job: Job) -> DeriveResult:
    """The formula of the gradient for each input; of the vector-Jacobian product if the result is not
    one number. Raises MathError if the result is integer or bool.
    """
    defaults: list[str] = []
    source = job.program

    def assumed(given: dict[str, Tensor]) -> dict[str, Tensor]:
        defaults[:] = (name for name in job.program.names if name not in given)
        return _assumed(defaults, given, job) if defaults else {}

    run = run_expression(request, job, assumed)
    if request.steps and source.modules:
        text = unfolded(source, run.program, run.inputs)
        job.begin_again(
            expression.parse(Source(text), request.input_names, free=request.free_inputs)
        )
        run = run_expression(request, job, assumed)
    if not run.value.is_floating_point():  # a constant has zeros, but an index has no gradient
        core.check_recorded(run.value)
    with suppress(GradcliError):  # which a result of more than one number raises
        core.gradients(run.value, run.by, keep=True)  # what reaches each operation, for its notes
    derived = derive(run, job, steps=request.steps)
    lines = dict(derived.steps or ())
    note_steps(run.program, {n: t for n, t in run.steps.items() if f"d{n}" in lines}, job)
    output, loss = _names(run, one_number=derived.upstream is None)
    ranks = {name: tensor.ndim for name, tensor in (run.inputs | run.steps).items()}
    if derived.upstream:
        ranks[derived.upstream] = run.value.ndim
    written = Mathematics(ranks)
    return DeriveResult(
        **job.header("derive", run.inputs, defaults),
        expression=run.program.canonical_text,
        formulas=derived.formulas,
        upstream=derived.upstream,
        steps=None if derived.steps is None else [{"name": n, "text": t} for n, t in derived.steps],
        latex={
            name: None if text is None else written.equation(written.partial(loss, name), text)
            for name, text in derived.formulas.items()
        },
        ok=None not in derived.formulas.values(),
        verified={name: found._asdict() for name, found in derived.verified.items()},
        reasons=derived.reasons,
        short=derived.short,
        output=output,
        loss=loss,
        shape=list(run.value.shape),
        ranks=ranks,
    )


def _names(run: Run, *, one_number: bool) -> tuple[str, str]:
    """The names of the result, and of what is differentiated: the same if that is one number."""
    taken = {*run.inputs, *run.steps}

    def free(*names: str) -> str:
        return next((name for name in names if name not in taken), names[-1])

    if one_number:
        return (run.output or free("L", "J", "result"),) * 2
    output = run.output or free("y", "z", "result")
    return output, free("L", "J", "loss")


def _assumed(names: list[str], given: Mapping[str, Tensor], job: Job) -> dict[str, Tensor]:
    """One number for each of `names`, so that the expression is finite if that can be found.

    The numbers have two odd decimals, so that they are not at a kink. Raises what the expression
    raises if it can be computed with none of them.
    """
    failure: GradcliError | None = None
    first: dict[str, Tensor] = {}
    for low, high in _RANGES:
        # As different from each other as their count allows.
        parts = {name: place * _GOLDEN % 1 for place, name in enumerate(names, start=1)}
        numbers = {n: job.number(round(low + (high - low) * part, 2)) for n, part in parts.items()}
        try:
            value = evaluate(job.program, {**given, **numbers}, job.before).value
        except GradcliError as error:
            failure = failure or error
            continue
        if torch.isfinite(value).all():
            return numbers
        first = first or numbers
    if first or failure is None:
        return first
    one = len(names) == 1
    what = "is one number, because it is" if one else "are one number each, because they are"
    advice = f"{', '.join(names)} {what} not given: {names[0]}=1,2 gives a vector"
    failure.hint = f"{failure.hint}\n{advice}".strip()
    raise failure
