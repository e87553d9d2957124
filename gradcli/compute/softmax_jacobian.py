"""`softmax-jacobian`: probabilities and their Jacobian by the logits."""

import torch

from gradcli import core
from gradcli.compute.job import Job
from gradcli.compute.sights import of_activation
from gradcli.errors import ShapeError, UsageError
from gradcli.requests.softmax_jacobian import SoftmaxJacobian
from gradcli.results import SoftmaxJacobianResult, Subject
from gradcli.tables.catalogue import ACTIVATIONS
from gradcli.text.call import Call


def softmax_jacobian(request: SoftmaxJacobian, job: Job) -> SoftmaxJacobianResult:
    """Softmax p of one vector and d p_i / d x_j, shape [n, n].

    Raises ShapeError for anything but one vector, and UsageError for a row that does not exist.
    """
    x = job.tensor(request.vector)
    if x.ndim != 1 or not x.numel() or not x.is_floating_point():
        raise ShapeError(
            f"softmax-jacobian wants one vector of numbers, got {str(x.dtype).removeprefix('torch.')} of shape {list(x.shape)}",
            cure="for example 2,1,0.1",
        )
    n = x.numel()
    if request.row is not None and not -n <= request.row < n:
        raise UsageError(f"--row {request.row}: the rows are 0 to {n - 1}", cure=f"--row {n - 1} is the last")
    leaf = core.leaves({"x": x}, ["x"])
    p = torch.softmax(leaf["x"], dim=-1)
    job.sights.append(of_activation(Call("softmax", ACTIVATIONS["softmax"]), leaf["x"], p, "x"))
    jacobian = core.jacobian_rows(p, leaf)["x"]
    assert jacobian is not None
    row = None if request.row is None else request.row % n
    return SoftmaxJacobianResult(
        **job.header("softmax-jacobian", {"x": x}, subjects=[Subject("", "softmax(x, -1)", {"x": x}, ("x",))]),
        probabilities=p,
        jacobian=jacobian,
        label=int(p.argmax()),
        row=None if row is None else jacobian[row],
        row_index=row,
    )
