"""Layers and losses that mix the elements of a row."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from gradcli.algebra.nodes import ONE, NoRuleError, num, size
from gradcli.algebra.products import divide, mul, neg
from gradcli.algebra.rules.places import one_hot
from gradcli.algebra.rules.reducing import Rule, count, total
from gradcli.algebra.terms import add
from gradcli.algebra.walk import Value, elementwise, formula, length


def _cross_entropy(pred: Value, target: Value, *, logs: bool = True, **settings: Any) -> Value:
    """Cross entropy, or without `logs` nll, of a vector or of rows. Raises NoRuleError."""
    reduction = settings.pop("reduction", "mean")
    smoothing = settings.pop("label_smoothing", 0.0)
    weight = settings.pop("weight", None)
    ignored = settings.pop("ignore_index", -100)
    if any(value is not None for value in settings.values()):
        raise NoRuleError("no rule for cross_entropy with these arguments")
    if weight is not None and smoothing:
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
    if smoothing:
        share = divide(num(smoothing), size(classes))
        hot = elementwise(lambda h: add(mul(num(1 - smoothing), h), share), hot)
    if ignored >= 0 and len(target.sides) != len(pred.sides):
        counted = formula("unsqueeze(t, -1) != ignored", {"t": target, "ignored": ignored})
        hot = elementwise(mul, hot, counted)
        weight = weight or Value(ONE)
    if weight is not None:
        hot = elementwise(mul, hot, weight)
    losses = elementwise(neg, total(elementwise(mul, hot, rows), -1))
    below = count(losses.sides) if weight is None else total(hot)
    return averaged(losses, reduction, below)


def averaged(losses: Value, reduction: str, below: Value) -> Value:
    """Losses, or their sum, or that over `below`."""
    if reduction == "none":
        return losses
    whole = total(losses)
    return whole if reduction == "sum" else elementwise(divide, whole, below)


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
