"""The straight way of `grad`: from the inputs of a batch job, of whose form a result is known, to
its JSON, without what depends only on the form.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch

from gradcli import core, result_paths
from gradcli.commands.grad.compute import VIA, chosen_inputs
from gradcli.commands.grad.request import Grad
from gradcli.commands.grad.result import GradEachResult, GradResult
from gradcli.evaluate.job import Job, default_dtype, heard, seed
from gradcli.evaluate.machine import composed
from gradcli.evaluate.run import note_steps
from gradcli.evaluate.watched import makers, used
from gradcli.evidence.notes.notes import collect_notes
from gradcli.language.literals.literal import Numbers
from gradcli.options.check import CheckedRequest
from gradcli.results import step_key
from gradcli.show import bulk, json

Way = Callable[[Sequence[Any]], bytes | None]


def straight(
    checked: CheckedRequest, result: GradResult | GradEachResult, names: Sequence[str]
) -> Way | None:
    """A function from the values of the inputs `names` to the JSON, for all requests that differ from
    this one, which has this result, only in numbers; None if these need the whole computation.

    The function returns None where a number is not finite or PyTorch warns: then notes need it too.
    """
    request, caught = checked.request, heard()
    assert isinstance(request, Grad)
    if isinstance(result, GradEachResult) or result.dtype not in ("float32", "float64"):
        return None
    special = request.wanted or request.vjp is not None or request.jvp
    size = sum(tensor.numel() for tensor in (*result.inputs.values(), result.value))
    unreached = any(note.code in ("unused-input", "no-derivative") for note in result.notes)
    if caught is None or special or unreached or request.device != "cpu" or size >= bulk.FROM:
        return None
    job = Job(request, checked.read_stdin, programs=checked.programs)
    program = result.subjects[0].program or job.program  # with its modules, which are made once
    order, steps = tuple(result.inputs), tuple(result.intermediates)
    run = composed(program, order, steps, makers(program), job.watched.append)
    if run is None:
        return None
    drawn = {
        name for module in job.program.modules for name in order if name.startswith(f"{module}.")
    }
    given = {name: result.inputs[name] for name in (*names, *sorted(drawn.difference(names)))}
    recording = chosen_inputs(request, result.inputs, given, job)
    for note in program.notes:
        job.note(*note)
    note_steps(program, {name: step.value for name, step in result.intermediates.items()}, job)
    static, by, upstream = tuple(job.notes), result.subjects[0].by, result.subjects[0].upstream
    shape, via, unnoted = result.value.shape, VIA[request.via], result.unnoted
    nulls, shown = json.encode(result).count(b"null"), tuple(result.gradients or ())
    # Without the tensors of this run, which may hold much memory.
    layout = result_paths.tree(result) | {"value": None, "gradients": {}, "intermediates": {}}
    # Every job writes its numbers into the same leaves.
    inputs = {name: tensor.detach().clone() for name, tensor in result.inputs.items()}
    arrays = {name: tensor.numpy() for name, tensor in inputs.items()}
    for name in recording:
        inputs[name].requires_grad_()
    slots, leaves = [arrays[name] for name in names], {name: inputs[name] for name in by}
    layout["inputs"] = {name: array if array.ndim else None for name, array in arrays.items()}
    scalars = [(name, array) for name, array in arrays.items() if not array.ndim]

    def way(values: Sequence[Any]) -> bytes | None:
        caught.clear()
        job.notes[:] = static
        job.watched.clear()
        seed(request.seed, job.device)
        for slot, value in zip(slots, values, strict=True):
            if type(value) is Numbers:
                slot[...] = np.reshape(value.values, slot.shape)
            else:
                slot[...] = value if type(value) is float else np.array(value, np.float64)
        value, *named = run(*inputs.values())
        if value.shape != shape:
            return None
        live = {
            step_key(name): step
            for name, step in zip(steps, named, strict=True)
            if step.requires_grad
        }
        found = core.gradients(value, leaves | live if live else leaves, upstream=upstream, via=via)
        job.watched[:] = used(job.watched, value)
        collect_notes(job, unnoted)
        if caught:
            return None
        for name, array in scalars:
            layout["inputs"][name] = array[()]
        layout["notes"] = job.notes
        layout["value"] = json.array(value)
        layout["gradients"] = {name: json.array(found.get(name)) for name in shown}
        if not named:
            return json.encode_finite(layout, nulls)
        found_steps = {
            name: {"value": json.array(step), "gradient": json.array(found.get(step_key(name)))}
            for name, step in zip(steps, named, strict=True)
        }
        return json.encode_finite({**layout, "intermediates": found_steps}, nulls)

    if job.dtype == torch.get_default_dtype():
        return way

    def in_dtype(values: Sequence[Any]) -> bytes | None:
        with default_dtype(job.dtype):
            return way(values)

    return in_dtype
