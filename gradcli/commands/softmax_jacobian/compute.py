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
"""Up to so many logits every row of the Jacobian is autograd's."""
SAMPLE = 16
"""Of more logits so many rows are autograd's, spread evenly; the closed form of all rows is held
against them."""


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
        raise UsageError(
            f"--row {request.row}: the rows are 0 to {n - 1}", hint=f"--row {n - 1} is the last"
        )
    ELEMENTS.check(
        n * n, "the Jacobian", hint="compute only its diagonal: gradcli activate softmax"
    )
    leaf = core.require_grad({"x": x}, ["x"])
    p = torch.softmax(leaf["x"], dim=-1)
    job.watched.append(of_activation(Call("softmax", ACTIVATIONS["softmax"]), leaf["x"], p, "x"))
    row = None if request.row is None else request.row % n
    jacobian = _closed(p, leaf["x"], row, job) if n > ROWS else None
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


def _closed(p: Tensor, x: Tensor, row: int | None, job: Job) -> Tensor | None:
    """The Jacobian by its closed form, with a note, where it agrees with autograd in a sample of
    rows, `row` among them.

    Row by row autograd reads n numbers n times; this writes them once. None where a row differs by
    more than rounding.
    """
    found = p.detach()
    n = found.numel()
    wide = found.to(
        torch.promote_types(found.dtype, torch.float32)
    )  # as PyTorch's own kernel reckons 16 bits
    jacobian = torch.outer(0 - found, found)  # 0 - 0 is 0, where the sign of -0 would be shown
    jacobian.diagonal().copy_(wide * (1 - wide))
    sample = (
        {n * i // SAMPLE for i in range(SAMPLE)}
        | {n - 1, int(found.argmax())}
        | ({row} if row is not None else set())
    )
    limits = torch.finfo(found.dtype)
    for i in sorted(sample):
        by_autograd = core.gradients(p[i], {"x": x}, keep=True)["x"]
        if by_autograd is None or not torch.allclose(
            by_autograd, jacobian[i], 4 * limits.eps, limits.tiny, equal_nan=True
        ):
            return None
    job.note(
        "closed-form",
        f"the {n} rows of the Jacobian come from the closed form p_i (1 - p_i), -p_i p_j; {len(sample)} of them "
        "were compared with autograd and agree",
    )
    return jacobian
