"""`jacobian`: d value / d input for each input, whole."""

from gradcli import core
from gradcli.commands.jacobian.request import Jacobian
from gradcli.commands.jacobian.result import JacobianResult
from gradcli.evaluate.job import Job
from gradcli.evaluate.run import note_unreached, run_expression
from gradcli.language.limits import ELEMENTS


def compute(request: Jacobian, job: Job) -> JacobianResult:
    """The Jacobian of the expression by each chosen input, of shape value.shape + input.shape.

    Raises SizeError for a Jacobian with too many elements.
    """
    run = run_expression(request, job)
    for name, tensor in run.by.items():
        ELEMENTS.check(run.value.numel() * tensor.numel(), f"the Jacobian for {name}")

    blocks = core.jacobian(run.value, run.by, run.touched)
    for name, block in blocks.items():
        if block is None:
            note_unreached(run, name, job.note, "its Jacobian is null")
    unnamed = "y" if "y" not in run.inputs and "y" not in run.steps else "result"
    subject = run.subject._replace(kind="jacobian", output=run.output or unnamed)
    return JacobianResult(
        **job.header("jacobian", run.inputs, subjects=[subject]),
        expression=run.program.canonical_text,
        value=run.value,
        jacobian=blocks,
    )
