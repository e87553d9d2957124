"""From a valid request to its result, by the `compute` of its command's folder.

Only the modules that the request needs are loaded: a cold `grad` loads no evidence.
"""

import re
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import torch

from gradcli.commands import COMMANDS
from gradcli.errors import GradcliError, MathError, SizeError
from gradcli.evaluate.job import BeginStep, Job, detached
from gradcli.evaluate.machine import Before
from gradcli.evidence.notes.notes import note_result
from gradcli.options.check import CheckedRequest
from gradcli.options.shared import ComputeOptions, ExpectOptions
from gradcli.results import Result, part


def compute(
    checked: CheckedRequest, before: Before, begin_step: BeginStep = lambda number, total: None
) -> Any:
    """The result of a request, its tensors detached and on the CPU.

    `before` is called with each operation just before it is computed, `begin_step` with each step.
    Raises GradcliError for whatever PyTorch refuses.
    """
    return detached(compute_attached(checked, before, begin_step))


def compute_attached(
    checked: CheckedRequest, before: Before, begin_step: BeginStep = lambda number, total: None
) -> Any:
    """The result of a request, its tensors recorded and on the job's device, which JSON can write.

    An error that a GPU reports late is reproduced on the CPU, which names the operation.
    """
    request, programs, read_stdin = checked
    if not isinstance(request, ComputeOptions):
        return part(request, "compute").compute(request, read_stdin)

    def computed(request: ComputeOptions) -> Result:
        return _computed(request, Job(request, read_stdin, before, begin_step, programs))

    if request.device.startswith("cpu"):
        return computed(request)
    try:
        result = computed(request)
        torch.accelerator.synchronize(request.device)  # raises the errors that are still pending
        return result
    except (RuntimeError, GradcliError) as error:
        if not _LATE.search(str(error)):
            raise
    lost.append(request.device)
    computed(replace(request, device="cpu"))
    message = f"{lost[-1]} reported an error, and the CPU computes the same without one"
    raise MathError(message, hint="--device cpu")


_LATE = re.compile(r"CUDA error|device-side assert|HIP error")
"""The error of a GPU at a later operation than the one that caused it."""

lost: list[str] = []
"""The devices that reported such an error, which this process cannot use again."""


def _computed(request: ComputeOptions, job: Job) -> Result:
    try:
        with job.surroundings():
            result: Result = part(request, "compute").compute(request, job)
            note_result(result, job)
            if isinstance(request, ExpectOptions) and request.wanted:
                from gradcli.evidence.gather import with_evidence

                result = with_evidence(request, result, job)
        return result
    except (MemoryError, torch.OutOfMemoryError):
        message = "there is not enough memory for this"
        raise SizeError(message, hint="use smaller tensors, or --dtype float32") from None


def preload() -> None:
    """Load the modules of all commands, for a process that computes many requests."""
    for command in COMMANDS.values():
        if find_spec(path := f"{command.folder}.compute"):
            import_module(path)
    import_module("gradcli.evidence.gather")
