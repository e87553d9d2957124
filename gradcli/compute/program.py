"""What the commands on expressions share: the inputs as leaves, the expression run on them, the steps on the way."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from gradcli import core
from gradcli.compute.job import Job
from gradcli.evaluate import evaluate
from gradcli.requests.derivatives import OfExpression
from gradcli.requests.grad import Grad
from gradcli.text import expression
from gradcli.text.program import Expression


def parsed(request: Grad | OfExpression, job: Job) -> Expression:
    """The expression of a request; parsing is cached, so that asking again costs nothing."""
    return expression.parse(request.source(job.read_stdin), request.input_names)


@dataclass(frozen=True)
class Run:
    """An expression that was run: what it was run on, by what it is differentiated, and what came out."""

    program: Expression
    inputs: dict[str, Tensor]
    by: dict[str, Tensor]
    value: Tensor
    steps: dict[str, Tensor]

    @property
    def touched(self) -> int:
        """The elements of all inputs, steps and the result: what one vjp reads, roughly."""
        return self.value.numel() + sum(tensor.numel() for tensor in (*self.inputs.values(), *self.steps.values()))


def run(program: Expression, inputs: Mapping[str, Tensor], chosen: list[str], job: Job) -> Run:
    """Run `program` on `inputs`, those in `chosen` as leaves that record what is done with them."""
    live = core.leaves(inputs, chosen)
    outcome = evaluate(program, live, job.before)
    for code, text in program.notes:
        job.note(code, text)
    return Run(program, live, {name: live[name] for name in chosen}, outcome.value, outcome.intermediates)


def run_expression(request: OfExpression, job: Job) -> Run:
    """Make the inputs of `request` in their order, and run its expression on them."""
    inputs = {item.name: job.tensor(item.literal) for item in request.inputs}
    floating = [name for name, tensor in inputs.items() if tensor.is_floating_point()]
    return run(parsed(request, job), inputs, job.wrt(request.wrt, inputs, floating), job)
