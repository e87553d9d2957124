"""`value`: an expression run without recording."""

import torch

from gradcli.commands.value.request import Value
from gradcli.commands.value.result import Part, ValueResult
from gradcli.evaluate.job import Job
from gradcli.evaluate.networks import make_inputs
from gradcli.evaluate.parts import shaped_parts
from gradcli.evaluate.run import note_steps, run


def compute(request: Value, job: Job) -> ValueResult:
    """The value of the expression, its steps, and the shapes of its parts if they are wanted.

    Raises what running it raises, and SizeError for parts that are too long to be listed.
    """
    inputs = make_inputs(job, {item.name: item.literal for item in request.inputs})
    done = run(job.program, inputs, [], job)
    note_steps(done.program, done.steps, job)
    parts = [Part(*part) for part in shaped_parts(done, job.before)] if request.shapes else None
    return ValueResult(
        **job.header("value", inputs, subjects=[done.subject]),
        expression=done.program.canonical_text,
        # Elsewhere a whole number that Python computes is a float: here it stays one.
        value=torch.tensor(done.computed) if type(done.computed) is int else done.value,
        intermediates=done.steps,
        shapes=parts,
        output=done.output or "result",
    )
