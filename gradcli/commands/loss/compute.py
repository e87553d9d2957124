"""`loss`: value, elements and d loss / d pred of each loss."""

from collections.abc import Mapping

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
from gradcli.results import Subject


def compute(request: Loss, job: Job) -> LossResult:
    """Each loss reduced, in elements, and differentiated by pred; with reduction none, its sum."""
    inputs: dict[str, Tensor] = {}
    for name in request.literals:  # in the order given, in which random numbers are drawn
        target = name == "target"
        inputs[name] = job.tensor(request.target) if target else job.floating(name, request.pred)
    values = [_evaluate(call, inputs, request.reduction, job) for call in request.names]
    several = len(values) > 1
    subjects = []
    for call, loss in zip(request.names, values, strict=True):
        name, text = call.text if several else "", call.compared(loss.reduction)
        upstream = torch.ones_like(loss.value) if loss.value.ndim else None
        subjects.append(Subject(name, text, inputs, ("pred",), upstream, call))
    return LossResult(**job.header("loss", inputs, subjects=subjects), losses=values)


def _evaluate(call: Call, inputs: Mapping[str, Tensor], reduction: str, job: Job) -> LossValue:
    pred, reduction = inputs["pred"], call.reduction(reduction)
    target = implementations.index_target(call, pred, inputs["target"])
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
