"""Run an expression on its inputs as leaves: what the commands on expressions share."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gradcli import core
from gradcli.errors import MathError
from gradcli.evaluate import library, watched
from gradcli.evaluate.job import Job
from gradcli.evaluate.machine import Before, evaluate
from gradcli.evaluate.networks import More, make_inputs
from gradcli.evaluate.trace import Trace, leads_to
from gradcli.language.expressions.program import Expression, Step, once
from gradcli.options.derivatives import ExpressionOptions
from gradcli.results import Inputs, Subject


class Run(NamedTuple):
    """An expression that was run: its inputs, those it is differentiated by, value and steps,
    tensors of any shape that autograd recorded.
    """

    program: Expression
    inputs: dict[str, Tensor]
    by: dict[str, Tensor]
    value: Tensor
    steps: dict[str, Tensor]
    indices: frozenset[str]
    """The inputs that an index loss took as class indices, which have no gradient."""
    state: Tensor
    """The state of PyTorch's generator, uint8 [bytes], just before the program ran."""
    computed: Any
    """The value before a plain number or a size became a tensor."""

    @property
    def subject(self) -> Subject:
        """What was differentiated, for evidence."""
        text, by = self.program.source.text, tuple(self.by)
        return Subject("", text, self.inputs, by, state=self.state, program=self.program)

    @property
    def output(self) -> str:
        """The name that the last statement gives the value; empty if it gives none."""
        name = self.program.assigned[-1] if self.program.assigned else ""
        return name if name and self.steps.get(name) is self.value else ""

    @property
    def touched(self) -> int:
        """The elements of all inputs, steps and the value: about what one vjp reads."""
        tensors = (self.value, *self.inputs.values(), *self.steps.values())
        return sum(tensor.numel() for tensor in tensors)


def run(program: Expression, inputs: Inputs, chosen: list[str], job: Job) -> Run:
    """Run `program` on `inputs` of any shape and dtype, those in `chosen` as leaves that record."""
    live = core.require_grad(inputs, chosen)
    targets: list[Any] = []
    state = torch.get_rng_state()
    operations: list[watched.WatchedOp] = []
    before, after = watched.watching(program, _watching(program, targets, job.before), operations)
    outcome = evaluate(program, live, before, after)
    job.watched += watched.used(operations, outcome.value)
    for code, text in program.notes:
        job.note(code, text)
    indices = _among(live, targets)
    by = {name: live[name] for name in chosen}
    value, steps, _, computed = outcome
    return Run(program, live, by, value, steps, indices, state, computed)


def class_indices(program: Expression, inputs: Mapping[str, Any]) -> frozenset[str]:
    """The inputs that an index loss takes as class indices. Raises GradcliError."""
    if not _may_take_indices(program):
        return frozenset()
    targets: list[Any] = []
    evaluate(program, inputs, _watching(program, targets, lambda step, operands: None))
    return _among(inputs, targets)


def _among(inputs: Mapping[str, Any], targets: list[Any]) -> frozenset[str]:
    """The inputs that are targets: as they are, or all of their numbers in another shape."""
    seen = [
        *targets,
        *(it._base for it in targets if it._is_view() and it._base.numel() == it.numel()),
    ]
    targeted = set(map(id, seen))
    return frozenset(name for name, tensor in inputs.items() if id(tensor) in targeted)


def note_unreached(done: Run, name: str, note: Callable[[str, str], object], so: str) -> None:
    """Note why autograd returned None by the input `name`; `so` is the end of the sentence."""
    what = f"the numbers of {name}" if name in done.program.names else name  # a size may be used
    code, reason = "unused-input", f"the result does not depend on {what}"
    if leads_to_result(done, name):
        code = "no-derivative"
        reason = f"no differentiable operation leads from {name} to the result"
    note(code, f"{reason}: {so}")


def note_steps(program: Expression, steps: Mapping[str, Tensor], job: Job) -> None:
    """Note the steps, of any shape, that are complex, and the names assigned more than once."""
    for name, step in steps.items():
        if step.is_complex():
            text = f"the step {name} is complex: the table shows it, JSON has null"
            job.note("complex-step", text)
    for name in steps:
        count = sum(step.kind == "store" and step.name == name for step in program.steps)
        if count > 1:
            shown = f"{name} is assigned {count} times, and the steps show only its last value"
            job.note("rebound", f"{shown}: give each step its own name")


def leads_to_result(done: Run, name: str) -> bool:
    """Whether any operations lead from the input `name` to the result, by running it again."""
    if name not in done.program.names:
        return False
    with torch.random.fork_rng(devices=()):
        trace = Trace(done.program, done.inputs, done.state)
    return leads_to(trace, name)


def _watching(program: Expression, targets: list[Any], before: Before) -> Before:
    """`before`, which also collects the class indices of index losses, if there may be any."""
    if not _may_take_indices(program):
        return before

    def watch(step: Step, operands: list[Any]) -> None:
        before(step, operands)
        if step.kind == "apply":
            if type(operands[0]) not in library.INDEXED_MODULES:
                return
        elif step.name not in library.INDEXED:
            return
        match library.split(step, operands)[0]:
            case [Tensor() as logits, Tensor() as target, *_] if target.shape != logits.shape:
                targets.append(target)

    return watch


@once
def _may_take_indices(program: Expression) -> bool:
    return any(step.kind == "apply" or step.name in library.INDEXED for step in program.steps)


def run_expression(request: ExpressionOptions, job: Job, more: More = lambda given: {}) -> Run:
    """Run the expression of `request` on its inputs, made in their order, and what `more` adds."""
    literals = {item.name: item.literal for item in request.inputs}
    inputs = make_inputs(job, literals, more)
    floating = [name for name, tensor in inputs.items() if tensor.is_floating_point()]
    chosen = job.wrt(request.wrt, inputs, floating)
    return differentiable(run(job.program, inputs, chosen, job), request.wrt)


def one_number(value: Tensor, rule: str) -> Tensor:
    """A value of one number as a 0-d tensor. Raises a MathError with `rule` for any other."""
    if value.numel() == 1:
        return value.reshape(())
    message = f"{rule}, but the result has shape {list(value.shape)}"
    hint = "reduce it: (EXPR).sum() or (EXPR).mean()\nor show it whole: gradcli value EXPR NAME=T"
    raise MathError(message, hint=hint, why_entry="non-scalar")


def differentiable(done: Run, wrt: Sequence[str]) -> Run:
    """The same run, differentiated by class indices only if they are in `wrt`."""
    if not done.indices:
        return done
    left_out = done.indices.difference(wrt)
    return done._replace(by={name: t for name, t in done.by.items() if name not in left_out})
