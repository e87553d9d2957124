"""The formula beside a local derivative: from the ledger's rules, or from the catalogue with the
arguments that were given.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from gradcli.catalogue import derivative_rules as rules
from gradcli.catalogue.functions import CATALOGUE, Activation, Loss
from gradcli.evaluate.naming import NAMELESS, Names
from gradcli.evaluate.trace import ExecutedOp, Use
from gradcli.language.expressions.substitution import substituted

_LONGEST = 72
_OPERANDS = ("a", "b", "c")


def formula(called: Names, operation: ExecutedOp, use: Use, result: Tensor, name: str) -> str:
    """d result / d operand, tensors of any shape, over the names of the run; empty where no table
    has it, or where it is too long to help.
    """
    place = use.place[0] - (operation.step.kind == "apply")
    if len(use.place) > 1 or place >= len(operation.arguments):
        return ""
    texts = called.operands(operation)
    cases = rules.CASES.get(name, ())
    if place < len(cases):
        return cases[place]
    entry = _entry(operation)
    if entry is None:
        found = _from_rules(operation, texts, place, result, name, called.of(result))
    elif isinstance(entry, Activation):
        found = _of_activation(entry, operation, texts, place)
    else:
        found = _of_loss(entry, operation, texts, place)
    return "" if NAMELESS in found or len(found) > _LONGEST else found


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
    if len(texts) < len(table) or not (
        name in rules.ANY_MORE or rules.WITH_MORE.get(name, set()).issuperset(more)
    ):
        return ""
    meaning: dict[str, object] = dict(zip(_OPERANDS, texts, strict=False))
    return substituted(table[place], {**meaning, "y": y, "n": operation.arguments[place].numel()})


def _entry(operation: ExecutedOp) -> Activation | Loss | None:
    """The catalogue's entry of a function or of a module such as LeakyReLU."""
    if operation.step.kind == "apply":
        return _BY_CLASS.get(operation.name.lower())
    return CATALOGUE.get(operation.name) if operation.step.kind in ("call", "method") else None


_BY_CLASS = {name.replace("_", ""): entry for name, entry in CATALOGUE.items()}


def _settings(entry: Activation | Loss, operation: ExecutedOp) -> dict[str, Any] | None:
    """The parameters of a catalogue function as they were set; None where others than the
    catalogue's were.
    """
    known = {parameter.name: parameter.default for parameter in entry.parameters}
    keywords: Mapping[str, Any] = operation.keywords
    if operation.step.kind == "apply":
        keywords = {
            key: value for key, value in vars(operation.operands[0]).items() if key in known
        }
    elif unknown := set(keywords) - set(known):
        return None if unknown - {"dim", "inplace"} else known
    # Behind its two tensors a loss of PyTorch's has other parameters first than the catalogue's.
    placed = operation.arguments[1:] if isinstance(entry, Activation) else []
    if isinstance(entry, Loss) and len(operation.arguments) > 2:
        return None
    return {**known, **dict(zip(known, placed, strict=False)), **keywords}


def _of_activation(entry: Activation, operation: ExecutedOp, texts: list[str], place: int) -> str:
    settings = _settings(entry, operation)
    if entry.derivative is None or settings is None or place or entry.mixes:
        return ""
    if any(isinstance(value, Tensor) for value in settings.values()):
        return ""
    return substituted(entry.derivative, {**_meant(settings), "x": texts[0]})


def _of_loss(entry: Loss, operation: ExecutedOp, texts: list[str], place: int) -> str:
    settings = _settings(entry, operation)
    if settings is None or place > 1 or (place and entry.target != "real"):
        return ""
    pred, target = operation.arguments[:2]
    weighted = any(isinstance(value, Tensor) for value in settings.values())
    by_row = entry.mixes == "row"
    if weighted or not isinstance(pred, Tensor) or pred.ndim > 2:
        return ""
    if not (by_row or getattr(target, "shape", None) == pred.shape):
        return ""
    rows = (len(pred) if pred.ndim == 2 else 1) if by_row else pred.numel()
    reduction = settings.pop("reduction", entry.reduction or "mean")
    terms = {"mean": rows, "batchmean": len(pred) if pred.ndim else 1}.get(reduction, 1)
    derivative = entry.derivative.replace("len(pred)", str(pred.shape[-1] if pred.ndim else 1))
    if (
        place
    ):  # losses of pred - target alone: the same with the other sign, which a square does not have
        derivative = re.sub(r"pred - target(?!\)\*\*2)", "target - pred", derivative)
    meaning = {**_meant(settings), "pred": texts[0], "target": texts[1], "terms": terms}
    return substituted(f"({derivative})/terms", meaning)


def _meant(settings: Mapping[str, Any]) -> dict[str, object]:
    """Settings as values that a formula can hold: text is quoted, so that it is not read as an
    expression.
    """
    return {
        name: repr(value) if isinstance(value, str) else value for name, value in settings.items()
    }
