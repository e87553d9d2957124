"""The straight way of `grad`: a request whose like has had a result, computed without the checks
that depend on its form alone.
"""

from collections.abc import Callable
from typing import Any

from gradcli import core, result_paths
from gradcli.commands.grad.compute import chosen_inputs, note_steps, step_key
from gradcli.commands.grad.request import Grad
from gradcli.commands.grad.result import GradEachResult, GradResult
from gradcli.evaluate.job import Job, seed
from gradcli.evaluate.origin import finite
from gradcli.evaluate.run import differentiable, run
from gradcli.evidence.notes.notes import collect_notes
from gradcli.options.check import CheckedRequest


def straight(
    checked: CheckedRequest, result: GradResult | GradEachResult
) -> Callable[[Grad], Any] | None:
    """The way of all requests that differ from this one only in numbers, to the tree of JSON.

    It returns None where a number is not finite or autograd returned None, of which notes tell why.
    """
    like = checked.request
    assert isinstance(like, Grad)
    if isinstance(result, GradEachResult) or like.vjp or like.via != "grad" or like.wanted or like.device != "cpu":
        return None
    tree = result_paths.tree(result)
    defaults = {name: result.inputs[name] for name in result.defaults}
    job = Job(like, checked.read_stdin, programs=checked.programs)
    given = {name: tensor for name, tensor in result.inputs.items() if name not in defaults}
    chosen = chosen_inputs(like, result.inputs, given, job)
    upstream = result.subjects[0].upstream
    program = job.program

    def way(request: Grad) -> Any:
        job.notes.clear()
        job.watched.clear()
        seed(request.seed, job.device)
        with job.surroundings():
            literals = request.literals.items()
            inputs = {name: job.tensor(literal) if literal else defaults[name] for name, literal in literals}
            done = differentiable(run(program, inputs, chosen, job), request.wrt)
            if done.value.shape != result.value.shape:
                return None
            steps = {step_key(name): step for name, step in done.steps.items() if step.requires_grad}
            found = core.gradients(done.value, done.by | steps, upstream=upstream)
            note_steps(done, job)
            collect_notes(job, ())
        computed = [done.value, *found.values(), *done.steps.values()]
        if not all(tensor is not None and finite(tensor) for tensor in computed):
            return None
        return {
            **tree,
            "inputs": inputs,
            "notes": job.notes,
            "value": done.value,
            "gradients": {name: found.get(name) for name in result.gradients},
            "intermediates": {
                name: {"value": step, "gradient": found.get(step_key(name))}
                for name, step in done.steps.items()
            },
        }

    return way
