"""Activations and losses, whose formulas the catalogue has."""

from collections.abc import Mapping, Sequence
from typing import Any

from gradcli.algebra.elementwise import fn
from gradcli.algebra.nodes import NoRuleError
from gradcli.algebra.rules.layers import averaged
from gradcli.algebra.rules.reducing import count, mean
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
        return averaged(found, reduction, length(pred.sides[0]))
    return averaged(found, reduction, count(found.sides))
