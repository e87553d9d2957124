"""`loss`: value, elements and d loss / d pred of each loss."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from gradcli import core
from gradcli.commands.loss.request import Loss
from gradcli.commands.loss.result import LossResult, LossValue
from gradcli.evaluate import implementations
from gradcli.evaluate.job import Job
from gradcli.evaluate.refusals import translated
from gradcli.evaluate.watched import of_loss
from gradcli.language.calls import Call
from gradcli.language.literals.literal import Literal
from gradcli.results import Subject


def compute(request: Loss, job: Job) -> LossResult:
    """The losses of `request`, each reduced, in elements, and differentiated by pred (with
    reduction none: its sum).
    """
    makers: dict[str, Callable[[Literal], Tensor]] = {
        "pred": partial(job.floating, "pred"),
        "target": job.tensor,
    }
    inputs = {
        name: makers[name](getattr(request, name)) for name in request.as_given(tuple(makers))
    }
    pred, target = inputs["pred"], inputs["target"]
    values = [_evaluate(call, pred, target, request.reduction, job) for call in request.names]
    several = len(values) > 1
    subjects = [
        Subject(
            call.text if several else "",
            call.compared(found.reduction),
            inputs,
            ("pred",),
            torch.ones_like(found.value) if found.value.ndim else None,
            call,
        )
        for call, found in zip(request.names, values, strict=True)
    ]
    return LossResult(**job.header("loss", inputs, subjects=subjects), losses=values)


def _evaluate(call: Call, pred: Tensor, target: Tensor, reduction: str, job: Job) -> LossValue:
    reduction = call.reduction(reduction)
    target = implementations.index_target(call, pred, target)
    leaf = pred.detach().requires_grad_()
    with translated(call.text, {"pred": pred, "target": target}):
        value = implementations.loss(call, reduction)(leaf, target)
        gradient = core.gradients(value.sum(), {"pred": leaf})["pred"]
        job.watched.append(of_loss(call, leaf, target, value, "pred", reduction))
        elements = implementations.elements(call)
        return LossValue(
            name=call.text,
            value=value,
            elements=None if elements is None else elements(pred, target),
            gradient=leaf.new_zeros(leaf.shape) if gradient is None else gradient,
            reduction=reduction,
        )
