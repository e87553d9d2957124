"""Closed forms of gradients: the catalogue's derivatives, chained through products and layers."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from gradcli.catalogue.functions import Loss
from gradcli.evaluate import implementations
from gradcli.evaluate.job import together
from gradcli.evaluate.machine import evaluated
from gradcli.language.calls import TENSOR_PARAMETERS, Call
from gradcli.results import Inputs

MEAN_BY_WEIGHT = frozenset({"mse", "l1", "cross_entropy", "nll"})
"""Losses whose mean is divided by the sum of the weights instead of their number."""


def of_product(call: Call, inputs: Inputs, upstream: Tensor | None, name: str) -> Tensor | None:
    """The gradient of a call of x*w + b by the input `name`, in its shape."""
    if name == "y" or (call.entry.mixes and not isinstance(call.entry, Loss)):
        return None
    z = inputs["x"] * inputs["w"] + inputs["b"]
    if isinstance(call.entry, Loss):
        by_z = of_loss(call, z, inputs["y"], call.reduction(), upstream)
    else:
        by_z = derivative(call, {"x": z}, z) * (1 if upstream is None else upstream)
    if by_z is None:
        return None
    chained = {"x": by_z * inputs["w"], "w": by_z * inputs["x"], "b": by_z}[name]
    return chained.sum_to_size(inputs[name].shape)


def of_layer(activation: Call, loss: Call, inputs: Inputs, name: str) -> Tensor | None:
    """The gradient of a loss of activation(x @ w.T + b) by the input `name`, in its shape."""
    if activation.entry.mixes or name == "target":
        return None
    x, w, b = inputs["x"], inputs["w"], inputs["b"]
    z = x @ w.movedim(-1, 0) + b
    output = implementations.activation(activation)(z)
    by_output = of_loss(loss, output, inputs["target"], loss.reduction(), None)
    if by_output is None:
        return None
    rows, weights = x.reshape(-1, x.shape[-1]), w.reshape(-1, w.shape[-1])
    by_z = (by_output * derivative(activation, {"x": z}, z)).reshape(len(rows), len(weights))
    by_b = by_z.sum(0) if b.ndim else by_z.sum()
    gradient = {"x": by_z @ weights, "w": by_z.T @ rows, "b": by_b}[name]
    return gradient.reshape(inputs[name].shape)


def derivative(call: Call, operands: Inputs, like: Tensor) -> Tensor:
    """The catalogue's derivative at the operands; it broadcasts to the shape of `like`."""
    assert call.entry.derivative is not None
    names: dict[str, Any] = {**operands, **_parameters(call, like)}
    return evaluated(call.entry.derivative, names)


def _parameters(call: Call, like: Tensor) -> Mapping[str, Any]:
    """The parameters as the formulas take them: the arguments, and ones for a missing weight."""
    given = implementations.arguments(call, like)
    missing = (name for name in TENSOR_PARAMETERS & given.keys() if given[name] is None)
    return given | {name: torch.ones_like(like) for name in missing}


def of_loss(
    call: Call, pred: Tensor, target: Tensor, reduction: str, upstream: Tensor | None
) -> Tensor | None:
    """d loss / d pred in the shape of `pred`: the derivative of every element, weighted."""
    if call.entry.mixes == "row":
        target = implementations.index_target(call, pred, target)
        return _by_rows(call, pred, target, reduction, upstream)
    slope = derivative(call, {"pred": pred, "target": target}, pred)
    slope = slope.expand(together(pred.shape, target.shape))  # kl_div's does not contain pred
    weights = _parameters(call, slope).get("weight", torch.ones_like(slope))
    count = weights.expand_as(slope).sum() if call.entry.name in MEAN_BY_WEIGHT else slope.numel()
    batch = len(pred) if pred.ndim else 1
    terms = {"mean": count, "batchmean": batch}.get(reduction, 1)
    return (slope / terms * (1 if upstream is None else upstream)).sum_to_size(pred.shape)


def _by_rows(
    call: Call, pred: Tensor, target: Tensor, reduction: str, upstream: Tensor | None
) -> Tensor | None:
    """The same for losses of rows of classes; None for more dimensions: no closed form here."""
    entry = call.entry
    assert isinstance(entry, Loss)
    classes, alike = entry.target == "class", target.shape == pred.shape
    # Targets for classes in the shape of pred are probabilities; other targets may be broadcast.
    if pred.ndim not in (1, 2) or not pred.numel() or alike == classes:
        return None
    rows = pred.reshape(-1, pred.shape[-1])
    aims = target.reshape(-1, *target.shape[1:] if classes else pred.shape[-1:])
    ignored = call.bound.get("ignore_index")
    slopes, shares = [], []
    for row, aim in zip(rows, aims, strict=True):
        if classes and int(aim) == ignored:
            slopes.append(torch.zeros_like(row))
            shares.append(row.new_zeros(()))
            continue
        if entry.target == "labels":
            aim = aim[: [*aim.tolist(), -1].index(-1)]
        slopes.append(derivative(call, {"pred": row, "target": aim}, row).expand_as(row))
        weight = _parameters(call, row).get("weight") if entry.name in MEAN_BY_WEIGHT else None
        shares.append(row.new_ones(()) if weight is None else weight[aim])
    slope = torch.stack(slopes)
    if reduction == "mean":
        slope = slope / torch.stack(shares).sum()
    if upstream is not None:
        slope = slope * upstream.reshape(-1, 1)
    return slope.reshape(pred.shape)
