"""`softmax-jacobian`: probabilities and their Jacobian by the logits."""

import torch
from torch import Tensor

from gradcli import core
from gradcli.catalogue.functions import ACTIVATIONS
from gradcli.commands.softmax_jacobian.request import SoftmaxJacobian
from gradcli.commands.softmax_jacobian.result import SoftmaxJacobianResult
from gradcli.errors import ShapeError, UsageError
from gradcli.evaluate.job import Job, dtype_name
from gradcli.evaluate.watched import of_activation
from gradcli.language.calls import Call
from gradcli.language.limits import ELEMENTS
from gradcli.results import Subject

ROWS = 512
"""Logits, at most, for which every row of the Jacobian is computed by autograd."""
SAMPLE = 16
"""Rows, spread evenly, that are compared with autograd if there are more logits."""


def compute(request: SoftmaxJacobian, job: Job) -> SoftmaxJacobianResult:
    """Softmax p of one vector and d p_i / d x_j, shape [n, n].

    Raises ShapeError for anything but one vector, UsageError for a row that does not exist, and
    SizeError for a Jacobian with too many elements.
    """
    x = job.tensor(request.vector)
    if x.ndim != 1 or not x.numel() or not x.is_floating_point():
        raise ShapeError(
            f"softmax-jacobian needs one vector of numbers, got {dtype_name(x)} of shape {list(x.shape)}",
            hint="for example 2,1,0.1",
        )
    n = x.numel()
    if request.row is not None and not -n <= request.row < n:
        message = f"--row {request.row}: the rows are 0 to {n - 1}"
        raise UsageError(message, hint=f"--row {n - 1} is the last")
    hint = "compute only its diagonal: gradcli activate softmax"
    ELEMENTS.check(n * n, "the Jacobian", hint=hint)
    leaf = core.require_grad({"x": x}, ["x"])
    p = torch.softmax(leaf["x"], dim=-1)
    job.watched.append(of_activation(Call("softmax", ACTIVATIONS["softmax"]), leaf["x"], p, "x"))
    row = None if request.row is None else request.row % n
    jacobian = _by_closed_form(p, leaf["x"], row, job) if n > ROWS else None
    if jacobian is None:
        jacobian = core.jacobian_rows(p, leaf)["x"]
    assert jacobian is not None
    subject = Subject("", "softmax(x, -1)", {"x": x}, ("x",), kind="jacobian", output="p", row=row)
    return SoftmaxJacobianResult(
        **job.header("softmax-jacobian", {"x": x}, subjects=[subject]),
        probabilities=p,
        jacobian=jacobian,
        label=int(p.argmax()),
        row=None if row is None else jacobian[row],
        row_index=row,
    )


def _by_closed_form(p: Tensor, x: Tensor, row: int | None, job: Job) -> Tensor | None:
    """The Jacobian, [n, n], by its closed form, with a note; None if a sampled row is not autograd's.

    The sample includes `row`. This writes n * n numbers; autograd, row by row, takes n passes.
    """
    values, n = p.detach(), p.numel()
    wide = values.to(torch.promote_types(values.dtype, torch.float32))  # as PyTorch's own kernel
    jacobian = torch.outer(0 - values, values)  # 0 - 0 is 0: -0 would be shown with its sign
    jacobian.diagonal().copy_(wide * (1 - wide))
    sample = {n * i // SAMPLE for i in range(SAMPLE)} | {n - 1, int(values.argmax())}
    if row is not None:
        sample.add(row)
    limits = torch.finfo(values.dtype)
    tolerances = (4 * limits.eps, limits.tiny)
    for i in sorted(sample):
        exact = core.gradients(p[i], {"x": x}, keep=True)["x"]
        if exact is None or not torch.allclose(exact, jacobian[i], *tolerances, equal_nan=True):
            return None
    source = f"the {n} rows of the Jacobian come from the closed form p_i (1 - p_i), -p_i p_j"
    agreement = f"{len(sample)} of them were compared with autograd and agree"
    job.note("closed-form", f"{source}; {agreement}")
    return jacobian
