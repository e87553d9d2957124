"""Activations and losses by the formulas of the catalogue, and layers and losses that mix the elements
of a row.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from gradcli.algebra.elementwise import fn
from gradcli.algebra.nodes import ONE, NoRuleError, num, size
from gradcli.algebra.products import divide, mul, neg
from gradcli.algebra.rules.places import one_hot
from gradcli.algebra.rules.reducing import Rule, count, mean, total
from gradcli.algebra.terms import add
from gradcli.algebra.walk import Value, broadcast, elementwise, formula, length, tensor
from gradcli.catalogue.functions import Activation, Loss

_LOSSES = {
    "bce": "-weight*(target*log(pred) + (1 - target)*log(1 - pred))",
    "bce_with_logits": "-weight*(pos_weight*target*log(sigmoid(pred)) + (1 - target)*log(1 - sigmoid(pred)))",
    "kl_div": "exp(target)*(target - pred) if log_target else target*(log(target) - pred)",
    "soft_margin": "-log(sigmoid(target*pred))",
    "multilabel_soft_margin": "-weight*(target*log(sigmoid(pred)) + (1 - target)*log(1 - sigmoid(pred)))",
    "multi_margin": "own = sum(one_hot(target, pred.shape[-1])*pred, -1, True); "
    "(sum(relu(margin + (pred - own))**p, -1) - (margin if margin > 0 else 0)**p)/pred.shape[-1]",
}  # fmt: skip
"""Formulas without the bounds that keep PyTorch's numbers finite, which hide what cancels; and of
losses of rows, which the catalogue describes for one row."""


def catalogued(
    entry: Activation | Loss, arguments: Sequence[Any], keywords: Mapping[str, Any]
) -> Value:
    """An activation or a loss of these arguments. Raises NoRuleError."""
    defaults = entry.defaults
    names = [*entry.operands, *(defaults if isinstance(entry, Activation) else ())]
    bound = defaults | dict(zip(names, arguments, strict=False))
    for key, value in keywords.items():
        bound[entry.operands[0] if key == "input" else key] = value
    bound.pop("inplace", None)
    if len(arguments) > len(names) or bound.keys() != {*entry.operands, *defaults}:
        raise NoRuleError(f"no rule for {entry.name} with these arguments")
    if isinstance(entry, Loss):
        return _loss(entry, bound)
    if entry.mixes:
        raise NoRuleError(f"no rule for {entry.name}")
    x = tensor(bound.pop("x"))
    if entry.name == "silu" or any(isinstance(value, Value) for value in bound.values()):
        return formula(entry.formula, {"x": x, **bound})
    settings = tuple((key, value) for key, value in bound.items() if value != defaults[key])
    return elementwise(lambda node: fn(entry.name, node, settings=settings), x)


def _loss(entry: Loss, bound: dict[str, Any]) -> Value:
    pred, target = tensor(bound.pop("pred")), tensor(bound.pop("target"))
    reduction = bound.pop("reduction", entry.reduction)
    weighted = bound.get("weight") is not None
    for key in ("weight", "pos_weight"):
        if key in bound and bound[key] is None:
            bound[key] = 1
    unknown = entry.mixes == "row" and entry.name not in _LOSSES
    if weighted and entry.name in ("mse", "l1"):
        unknown = reduction == "mean"
    if unknown or (weighted and entry.name == "multi_margin"):
        raise NoRuleError(f"no rule for {entry.name} with these arguments")
    text = _LOSSES.get(entry.name, entry.formula)
    found = formula(text, {"pred": pred, "target": target, **bound})
    if entry.reduction:
        return found
    if entry.name != "multi_margin":
        found = found.but(sides=broadcast(pred.sides, target.sides))
        found = mean(found, -1) if entry.mixes == "row" else found
    if reduction == "batchmean":
        return _averaged(found, reduction, length(pred.sides[0]))
    return _averaged(found, reduction, count(found.sides))


def _averaged(losses: Value, reduction: str, below: Value) -> Value:
    """Losses, or their sum, or that over `below`."""
    if reduction == "none":
        return losses
    whole = total(losses)
    return whole if reduction == "sum" else elementwise(divide, whole, below)


# --- those that mix a row -----------------------------------------------------------------------


def _cross_entropy(
    pred: Value, target: Value, *, logs: bool = True, weight: Value | None = None,
    ignore_index: int = -100, reduction: str = "mean", label_smoothing: float = 0.0, **others: Any
) -> Value:  # fmt: skip
    """Cross entropy, or without `logs` nll, of a vector or of rows. Raises NoRuleError."""
    if any(value is not None for value in others.values()):
        raise NoRuleError("no rule for cross_entropy with these arguments")
    if weight is not None and label_smoothing:
        raise NoRuleError("no rule for cross_entropy with weights and smoothing")
    classes = pred.sides[-1]
    hot = target
    if len(target.sides) != len(pred.sides) or not logs:
        hot = one_hot(target, length(classes))
        if not target.sides:  # a bare index meets a batch of one
            hot = hot.but(sides=(None,) * (len(pred.sides) - 1) + hot.sides)
    if len(pred.sides) > 2 or classes is None or len(hot.sides) != len(pred.sides):
        raise NoRuleError("no rule for cross_entropy of these shapes")
    rows = formula("log(softmax(pred, -1))", {"pred": pred}) if logs else pred
    if label_smoothing:
        share = divide(num(label_smoothing), size(classes))
        hot = elementwise(lambda h: add(mul(num(1 - label_smoothing), h), share), hot)
    if ignore_index >= 0 and len(target.sides) != len(pred.sides):
        names = {"hot": hot, "t": target, "ignored": ignore_index}
        hot = formula("hot*(unsqueeze(t, -1) != ignored)", names)
        weight = weight or Value(ONE)
    if weight is not None:
        hot = elementwise(mul, hot, weight)
    losses = elementwise(neg, total(elementwise(mul, hot, rows), -1))
    below = count(losses.sides) if weight is None else total(hot)
    return _averaged(losses, reduction, below)


def _layer_norm(
    x: Value, shape: Any, weight: Any = None, bias: Any = None, eps: Any = 1e-5
) -> Value:
    sides = tuple(range(-len(shape), 0)) if isinstance(shape, tuple | list) else (-1,)
    names = {"x": x, "sides": sides, "eps": eps}
    found = formula("(x - mean(x, sides, True))/sqrt(var(x, sides, False, True) + eps)", names)
    found = found if weight is None else elementwise(mul, found, weight)
    return found if bias is None else elementwise(add, found, bias)


def _rms_norm(x: Value, shape: Any, weight: Any = None, eps: Any = None) -> Value:
    """rms_norm. Raises NoRuleError without eps, which is then that of the dtype."""
    if eps is None:
        raise NoRuleError("no rule for rms_norm without eps")
    found = formula("x/sqrt(mean(x**2, -1, True) + eps)", {"x": x, "eps": eps})
    return found if weight is None else elementwise(mul, found, weight)


RULES: Mapping[str, Rule] = {
    "cross_entropy": _cross_entropy, "nll": partial(_cross_entropy, logs=False), "layer_norm": _layer_norm,
    "rms_norm": _rms_norm,
}  # fmt: skip
