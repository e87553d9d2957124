"""The one door to PyTorch: it is opened once a request is known to be valid, and turns it into a result."""

from collections.abc import Callable
from typing import Any

import torch

from gradcli.compute.activate import activate
from gradcli.compute.evidence import with_evidence
from gradcli.compute.functions import describe
from gradcli.compute.grad import grad
from gradcli.compute.hessian import hessian
from gradcli.compute.jacobian import jacobian
from gradcli.compute.job import Job, settled
from gradcli.compute.loss import loss
from gradcli.compute.notes import remark
from gradcli.compute.perceptron import perceptron
from gradcli.compute.softmax_jacobian import softmax_jacobian
from gradcli.compute.why import why
from gradcli.errors import SizeError
from gradcli.evaluate.machine import Before
from gradcli.requests.activate import Activate
from gradcli.requests.derivatives import Hessian, Jacobian
from gradcli.requests.functions import Functions
from gradcli.requests.grad import Grad
from gradcli.requests.loss import Loss
from gradcli.requests.perceptron import Perceptron
from gradcli.requests.shared import Evidence, Numeric
from gradcli.requests.softmax_jacobian import SoftmaxJacobian
from gradcli.requests.why import Why
from gradcli.results import FunctionsResult, Result, WhyResult

_COMPUTE: dict[type[Numeric], Callable[[Any, Job], Result]] = {
    Activate: activate,
    Grad: grad,
    Hessian: hessian,
    Jacobian: jacobian,
    Loss: loss,
    Perceptron: perceptron,
    SoftmaxJacobian: softmax_jacobian,
}


def compute(
    request: Numeric | Why | Functions, read_stdin: Callable[[], str], before: Before
) -> Result | WhyResult | FunctionsResult:
    """The result of a request. `before` is told each operation's place just before it is computed.

    Raises GradcliError for whatever PyTorch refuses.
    """
    if isinstance(request, Why):
        return why(request, read_stdin)
    if isinstance(request, Functions):
        return describe(request)
    try:
        job = Job(request, read_stdin, before)
        with job.surroundings():
            result = _COMPUTE[type(request)](request, job)
            remark(result, job)
            if isinstance(request, Evidence):
                result = with_evidence(request, result, job)
        return settled(result)
    except (MemoryError, torch.OutOfMemoryError):
        raise SizeError("there is not enough memory for this", cure="use smaller tensors, or --dtype float32") from None
