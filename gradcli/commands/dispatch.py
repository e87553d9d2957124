"""The one way to PyTorch: a request that is known to be valid goes to its command's folder and
comes back as a result.

Only what the request needs is loaded for it: a cold `grad` does without the error doctor and
without evidence.
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
from gradcli.options.shared import ComputeOptions, EvidenceOptions
from gradcli.results import Result, part


def compute(
    checked: CheckedRequest, before: Before, begin_step: BeginStep = lambda number, total: None
) -> Any:
    """The result of a request. `before` is told each operation's place just before it is computed,
    `begin_step` each step.

    Raises GradcliError for whatever PyTorch refuses.
    """
    return detached(compute_attached(checked, before, begin_step))


def compute_attached(
    checked: CheckedRequest, before: Before, begin_step: BeginStep = lambda number, total: None
) -> Any:
    """What `compute` returns, its tensors as they came out: recorded, and on the job's device.

    That is enough for JSON, which detaches each as it writes it. An error that a GPU reports late
    is found again on the CPU, which names the operation.
    """
    request, programs, read_stdin = checked
    if not isinstance(request, ComputeOptions):
        return part(request, "compute").compute(request, read_stdin)
    if request.device.startswith("cpu"):
        return _computed(request, Job(request, read_stdin, before, begin_step, programs))
    try:
        result = _computed(request, Job(request, read_stdin, before, begin_step, programs))
        torch.accelerator.synchronize(request.device)  # what is still wrong is told now
        return result
    except (RuntimeError, GradcliError) as error:
        if not _LATE.search(str(error)):
            raise
    lost.append(request.device)
    request = replace(request, device="cpu")
    _computed(request, Job(request, read_stdin, before, begin_step, programs))
    raise MathError(
        f"{lost[-1]} reported an error, and the CPU computes the same without one",
        hint="--device cpu",
    )


_LATE = re.compile(r"CUDA error|device-side assert|HIP error")
"""What PyTorch says of an error that a GPU reports at some later operation than the one that caused
it."""

lost: list[str] = []
"""The devices that have reported such an error: this process cannot use them again."""


def _computed(request: ComputeOptions, job: Job) -> Result:
    try:
        with job.surroundings():
            result: Result = part(request, "compute").compute(request, job)
            note_result(result, job)
            if isinstance(request, EvidenceOptions) and request.wanted:
                from gradcli.evidence.gather import with_evidence

                result = with_evidence(request, result, job)
        return result
    except (MemoryError, torch.OutOfMemoryError):
        raise SizeError(
            "there is not enough memory for this", hint="use smaller tensors, or --dtype float32"
        ) from None


def preload() -> None:
    """Load what every command needs, for a process that will compute many."""
    for command in COMMANDS.values():
        if find_spec(path := f"{command.folder}.compute"):
            import_module(path)
    import_module("gradcli.evidence.gather")
