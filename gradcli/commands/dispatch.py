"""The one door to PyTorch: it is opened once a request is known to be valid, and turns it into a result.

Only what the request needs is loaded behind it: a cold `grad` does without the error doctor and without evidence.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import torch

from gradcli.errors import GradcliError, MathError, SizeError
from gradcli.evaluate.job import BeginStep, Job, settled
from gradcli.evaluate.machine import Before
from gradcli.evidence.notes.notes import remark
from gradcli.options.shared import Evidence, Numeric
from gradcli.results import FunctionsResult, Result, WhyResult

if TYPE_CHECKING:
    from gradcli.commands.functions.request import Functions
    from gradcli.commands.why.request import Why

_COMPUTED: Mapping[str, str] = {
    "Activate": "activate",
    "Descend": "descend",
    "Flow": "flow",
    "Grad": "grad",
    "Hessian": "hessian",
    "Jacobian": "jacobian",
    "Loss": "loss",
    "Perceptron": "perceptron",
    "Plot": "plot",
    "SoftmaxJacobian": "softmax_jacobian",
}
"""The request types by name, and the module and function that compute each."""


def compute(
    request: "Numeric | Why | Functions",
    read_stdin: Callable[[], str],
    before: Before,
    begin_step: BeginStep = lambda number, total: None,
) -> Result | WhyResult | FunctionsResult:
    """The result of a request. `before` is told each operation's place just before it is computed, `begin_step` each step.

    Raises GradcliError for whatever PyTorch refuses.
    """
    return settled(computed(request, read_stdin, before, begin_step))


def computed(
    request: "Numeric | Why | Functions",
    read_stdin: Callable[[], str],
    before: Before,
    begin_step: BeginStep = lambda number, total: None,
) -> Result | WhyResult | FunctionsResult:
    """What `compute` returns, its tensors as they came out: recorded, and on the job's device.

    That is enough for JSON, which detaches each as it writes it. An error that a GPU reports late is found again on the CPU,
    which names the operation.
    """
    if not isinstance(request, Numeric):
        return _told(request, read_stdin)
    if request.device.startswith("cpu"):
        return _computed(request, read_stdin, before, begin_step)
    try:
        result = _computed(request, read_stdin, before, begin_step)
        torch.accelerator.synchronize(request.device)  # what is still wrong is told now
        return result
    except (RuntimeError, GradcliError) as error:
        if not _LATE.search(str(error)):
            raise
    lost.append(request.device)
    _computed(replace(request, device="cpu"), read_stdin, before, begin_step)
    raise MathError(
        f"{request.device} reported an error, and the CPU computes the same without one", cure="--device cpu"
    )


_LATE = re.compile(r"CUDA error|device-side assert|HIP error")
"""What PyTorch says of an error that a GPU reports at some later operation than the one that caused it."""

lost: list[str] = []
"""The devices that have reported such an error: this process cannot use them again."""


def _computed(request: Numeric, read_stdin: Callable[[], str], before: Before, begin_step: BeginStep) -> Result:
    function = _function(type(request).__name__)
    try:
        job = Job(request, read_stdin, before, begin_step)
        with job.surroundings():
            result = function(request, job)
            remark(result, job)
            if isinstance(request, Evidence) and request.wanted:
                from gradcli.evidence.gather import with_evidence

                result = with_evidence(request, result, job)
        return result
    except (MemoryError, torch.OutOfMemoryError):
        raise SizeError("there is not enough memory for this", cure="use smaller tensors, or --dtype float32") from None


@cache
def _function(request: str) -> Callable[[Any, Job], Result]:
    """What computes requests of the type of that name."""
    name = _COMPUTED[request]
    return getattr(import_module(f"gradcli.commands.{name}.compute"), name)  # type: ignore[no-any-return]


def open_wide() -> None:
    """Load what every command needs, for a process that will compute many."""
    for name in (*_COMPUTED.values(), "why", "functions"):
        import_module(f"gradcli.commands.{name}.compute")
    import_module("gradcli.evidence.gather")


def _told(request: "Why | Functions", read_stdin: Callable[[], str]) -> WhyResult | FunctionsResult:
    """What is told about PyTorch rather than computed of inputs."""
    from gradcli.commands.functions.compute import describe
    from gradcli.commands.why.compute import why
    from gradcli.commands.why.request import Why

    return why(request, read_stdin) if isinstance(request, Why) else describe(request)
