"""`loss`: value, elements and d loss / d pred of each loss."""

from torch import Tensor

from gradcli import core
from gradcli.compute.job import Job
from gradcli.evaluate import functions
from gradcli.evaluate.refusals import translated
from gradcli.requests.loss import Loss
from gradcli.results import LossResult, LossValue
from gradcli.tables.catalogue import FIXED_REDUCTION
from gradcli.text.call import Call


def loss(request: Loss, job: Job) -> LossResult:
    """The losses of `request`, each reduced, in elements, and differentiated by pred (with reduction none: its sum)."""
    pred, target = job.floating("pred", request.pred), job.tensor(request.target)
    values = [_evaluate(call, pred, target, request.reduction, job) for call in request.names]
    return LossResult(**job.header("loss", {"pred": pred, "target": target}), losses=values)


def _evaluate(call: Call, pred: Tensor, target: Tensor, reduction: str, job: Job) -> LossValue:
    reduction = str(call.arguments.get("reduction", reduction))
    if reduction != "none":
        reduction = FIXED_REDUCTION.get(call.entry.name, reduction)
    target = functions.index_target(call, pred, target)
    leaf = pred.detach().requires_grad_()
    with translated(call.text, {"pred": pred, "target": target}):
        value = functions.loss(call, reduction)(leaf, target)
        gradient = core.gradients(value.sum(), {"pred": leaf})["pred"]
        elements = functions.elements(call)
        return LossValue(
            name=call.text,
            value=value,
            elements=None if elements is None else elements(pred, target),
            gradient=leaf.new_zeros(leaf.shape) if gradient is None else gradient,
            reduction=reduction,
        )
