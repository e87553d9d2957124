"""The formula of a local derivative, from the ledger's rules or from the catalogue."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gradcli.catalogue import derivative_rules as rules
from gradcli.catalogue.functions import CATALOGUE, Activation, Loss
from gradcli.evaluate.naming import NAMELESS, Names
from gradcli.evaluate.trace import ExecutedOp, Use
from gradcli.language.expressions.substitution import substituted

LONGEST = 72
"""Characters of a rule, at most."""
_OPERANDS = ("a", "b", "c")


def formula(names: Names, operation: ExecutedOp, use: Use, result: Tensor, name: str) -> str:
    """d result / d operand (any shapes) in the run's names; empty if in no table, or too long."""
    place = use.place[0] - (operation.step.kind == "apply")
    if len(use.place) > 1 or place >= len(operation.arguments):
        return ""
    texts = names.operands(operation)
    cases = rules.CASES.get(operation.name if operation.name in ("fmax", "fmin") else name, ())
    if place < len(cases):
        return cases[place]
    entry = _entry(operation)
    if entry is None:
        text = _from_rules(operation, texts, place, result, name, names.of(result))
    elif isinstance(entry, Activation):
        text = _of_activation(entry, operation, texts, place)
    else:
        text = _of_loss(entry, operation, texts, place)
    return "" if NAMELESS in text or len(text) > LONGEST else text


def _from_rules(
    operation: ExecutedOp, texts: list[str], place: int, result: Tensor, name: str, y: str
) -> str:
    table = rules.FORMULAS.get(name)
    exact = not operation.step.keywords
    if table is None and not result.ndim:
        table = rules.WHOLE.get(name)
        exact |= name in rules.ANY_MORE
    if table is None or not exact or place >= len(table):
        return ""
    more = texts[len(table) :]
    known = name in rules.ANY_MORE or rules.WITH_MORE.get(name, set()).issuperset(more)
    if not known or len(texts) < len(table):
        return ""
    meaning: dict[str, object] = dict(zip(_OPERANDS, texts, strict=False))
    return substituted(table[place], {**meaning, "y": y, "n": operation.arguments[place].numel()})


def _entry(operation: ExecutedOp) -> Activation | Loss | None:
    """The catalogue's entry of a function, or of a module such as LeakyReLU."""
    if operation.step.kind == "apply":
        return _BY_CLASS.get(operation.name.lower())
    return CATALOGUE.get(operation.name) if operation.step.kind in ("call", "method") else None


_BY_CLASS = {name.replace("_", ""): entry for name, entry in CATALOGUE.items()}


def _settings(entry: Activation | Loss, operation: ExecutedOp) -> dict[str, Any] | None:
    """The parameters of a catalogue function; None if other parameters were set."""
    defaults = entry.defaults
    keywords: Mapping[str, Any] = operation.keywords
    if operation.step.kind == "apply":
        attributes = vars(operation.operands[0]).items()
        keywords = {key: value for key, value in attributes if key in defaults}
    elif unknown := set(keywords) - set(defaults):
        return None if unknown - {"dim", "inplace"} else defaults
    if isinstance(entry, Activation):
        by_place = dict(zip(defaults, operation.arguments[1:], strict=False))
        return {**defaults, **by_place, **keywords}
    # After its two tensors, a loss of PyTorch has its parameters in another order.
    return None if len(operation.arguments) > 2 else {**defaults, **keywords}


def _of_activation(entry: Activation, operation: ExecutedOp, texts: list[str], place: int) -> str:
    settings = _settings(entry, operation)
    if entry.derivative is None or settings is None or place or entry.mixes or _weighted(settings):
        return ""
    return substituted(entry.derivative, {**_as_text(settings), "x": texts[0]})


def _of_loss(entry: Loss, operation: ExecutedOp, texts: list[str], place: int) -> str:
    settings = _settings(entry, operation)
    if settings is None or place > 1 or (place and entry.target != "real"):
        return ""
    pred, target = operation.arguments[:2]
    by_row = entry.mixes == "row"
    if _weighted(settings) or not isinstance(pred, Tensor) or pred.ndim > 2:
        return ""
    alike = getattr(target, "shape", None) == pred.shape
    if not (by_row or alike):
        return ""
    ignored = isinstance(target, Tensor) and settings.get("ignore_index", -100) in target
    if entry.target == "class" and (alike or ignored):  # the formula is for classes that count
        return ""
    rows = (len(pred) if pred.ndim == 2 else 1) if by_row else pred.numel()
    reduction = settings.pop("reduction", entry.reduction or "mean")
    terms = {"mean": rows, "batchmean": len(pred) if pred.ndim else 1}.get(reduction, 1)
    derivative = entry.derivative.replace("len(pred)", str(pred.shape[-1] if pred.ndim else 1))
    if place:  # losses of pred - target: the same with the other sign, which a square lacks
        derivative = re.sub(r"pred - target(?!\)\*\*2)", "target - pred", derivative)
    meaning = {**_as_text(settings), "pred": texts[0], "target": texts[1], "terms": terms}
    return substituted(f"({derivative})/terms", meaning)


def _as_text(settings: Mapping[str, Any]) -> dict[str, object]:
    """Settings as values in a formula: text is quoted, so that it is not read as an expression."""
    return {name: repr(v) if isinstance(v, str) else v for name, v in settings.items()}


def _weighted(settings: Mapping[str, Any]) -> bool:
    return any(isinstance(value, Tensor) for value in settings.values())
