"""Every loss of the catalogue against PyTorch: elements, derivative, extremes, smaller dtypes and
kinks.
"""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from gradcli.catalogue.functions import LOSSES, Loss
from gradcli.evaluate import implementations
from gradcli.language.calls import Call, parse_call
from gradcli.language.source import Source
from tests.choice import first_usual, in_rows
from tests.closed_forms import (
    LOW,
    assert_equal,
    bend,
    difference,
    evaluated,
    gradient,
    or_skip,
    uniform,
)

CALLS = [
    *LOSSES,
    *[
        f"{name}(weight=[1, 0, 2, 0.5])"
        for name in ("mse", "l1", "huber", "bce", "bce_with_logits", "nll")
    ],
    *[
        "smooth_l1(beta=0.25)",
        "smooth_l1(beta=0)",
        "huber(delta=2)",
        "huber(delta=0.25, weight=[1, 0, 2, 0.5])",
    ],
    *[
        "bce_with_logits(pos_weight=3)",
        "bce_with_logits(pos_weight=[3, 1, 0, 2])",
        "kl(log_target=True)",
    ],
    *[
        "ce(weight=[1, 0, 2, 0.5])",
        "ce(label_smoothing=0.1)",
        "ce(weight=[1, 0, 2, 0.5], label_smoothing=0.3)",
    ],
    *[
        "poisson_nll(log_input=False)",
        "poisson_nll(full=True)",
        "poisson_nll(False, True, 0.01)",
        "multi_margin(p=2)",
    ],
    *[
        "multi_margin(2, 0.5, [1, 0, 2, 0.5])",
        "multilabel_soft_margin([1, 0, 2, 0.5])",
        "hinge_embedding(margin=2)",
    ],
]

ROUNDED = {"bce": 1e-8}
"""PyTorch keeps the least denominator, 1e-12, in float32, whatever the dtype."""


def binary(text: str) -> tuple[Call, Loss, Callable[[Tensor, Tensor], Tensor]]:
    """The call, its entry, and the loss before reduction (after it where the reduction is
    fixed).
    """
    call = parse_call(Source(text), Loss)
    assert isinstance(call.entry, Loss)
    function = (
        implementations.loss(call, "sum")
        if call.entry.reduction
        else implementations.elements(call)
    )
    assert function is not None
    return call, call.entry, function


def weights(call: Call, like: Tensor) -> dict[str, object]:
    """The arguments by the convention of the formulas: a missing weight is ones, a list a
    tensor.
    """
    return {
        name: torch.ones_like(like)
        if value is None
        else torch.tensor(value).to(like)
        if "weight" in name
        else value
        for name, value in call.bound.items()
    }


def by_formula(text: str, call: Call, pred: Tensor, target: Tensor) -> Tensor:
    """A formula or derivative evaluated: for all numbers at once, or row by row."""
    if call.entry.mixes != "row":
        return evaluated(text, pred=pred, target=target, **weights(call, pred))
    rows = zip(
        pred,
        (labels(row) for row in target) if call.entry.name == "multilabel_margin" else target,
        strict=True,
    )
    return torch.stack(
        [evaluated(text, pred=row, target=aim, **weights(call, row)) for row, aim in rows]
    )


def labels(row: Tensor) -> Tensor:
    return row[: [*row.tolist(), -1].index(-1)]


def sample(call: Call, entry: Loss) -> tuple[Tensor, Tensor]:
    """Predictions and targets that suit the loss: [6, 4] in rows, or [4] where a weight has the
    shape of pred.
    """
    shape = (6, 4) if entry.mixes == "row" or "weight" not in call.arguments else (4,)
    pred = uniform(-3, 3, *shape)
    if entry.name == "bce" or call.bound.get("log_input") is False:
        pred = uniform(0.05, 0.95, *shape)
    match entry.target:
        case "class":
            return pred, torch.tensor([0, 3, 1, 2, 2, 0])
        case "labels":
            rows = [
                [3, -1, -1, -1],
                [0, 1, 2, 3],
                [1, 0, -1, 2],
                [-1, 0, 1, 2],
                [2, 2, -1, -1],
                [0, 3, 1, -1],
            ]
            return pred, torch.tensor(rows)
        case "sign":
            return pred, uniform(-1, 1, *shape, seed=1).sign()
        case "count":
            return pred, uniform(0, 5, *shape, seed=1).round()
        case "real":
            return pred, uniform(-3, 3, *shape, seed=1)
        case "probability":
            target = uniform(0, 1, *shape, seed=1)
            return pred, target.log() if call.bound.get("log_target") else target


@pytest.mark.parametrize("text", CALLS)
def test_loss_is_its_formula(text: str) -> None:
    call, entry, function = binary(text)
    pred, target = sample(call, entry)
    assert_equal(by_formula(entry.formula, call, pred, target), function(pred, target))


@pytest.mark.parametrize("text", CALLS)
def test_loss_derivative(text: str) -> None:
    call, entry, function = binary(text)
    pred, target = sample(call, entry)
    closed = by_formula(entry.derivative, call, pred, target).expand_as(pred)
    assert_equal(closed, gradient(lambda leaf: function(leaf, target), pred))
    numeric = difference(lambda moved: function(moved, target).sum(), pred)
    torch.testing.assert_close(numeric, closed, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("low", "high"), [(-100.0, 100.0), (-math.inf, 0.0), (0.0, math.inf)])
@pytest.mark.parametrize("text", first_usual(LOSSES, in_rows(2, LOSSES)))
def test_loss_far_out(text: str, low: float, high: float) -> None:
    call, entry, function = binary(text)
    pred, target = sample(call, entry)
    # Beside the class of the first row, which is 0 or 3.
    pred[0, 1:3] = torch.tensor([0.0, 1.0] if entry.name == "bce" else [low, high])
    assert_equal(by_formula(entry.formula, call, pred, target), function(pred, target))
    if pred.isfinite().all():
        closed = by_formula(entry.derivative, call, pred, target).expand_as(pred)
        assert_equal(
            closed, gradient(lambda leaf: function(leaf, target), pred), ROUNDED.get(text, 1e-9)
        )


@pytest.mark.parametrize("dtype", LOW, ids=str)
@pytest.mark.parametrize("text", first_usual(LOSSES, in_rows(2, LOSSES)))
def test_loss_in_smaller_dtypes(text: str, dtype: torch.dtype) -> None:
    call, entry, function = binary(text)
    pred, target = sample(call, entry)
    pred = pred.to(dtype)
    target = target.to(dtype) if target.is_floating_point() else target
    wide = target.double() if target.is_floating_point() else target
    value = or_skip(lambda: function(pred, target))
    slope = or_skip(lambda: gradient(lambda leaf: function(leaf, target), pred))
    assert value.dtype == slope.dtype == dtype
    # A sum over all numbers adds up their rounding.
    close: dict[str, Any] = {"rtol": 2 * LOW[dtype], "atol": 2 * LOW[dtype], "check_dtype": False}
    torch.testing.assert_close(value, by_formula(entry.formula, call, pred.double(), wide), **close)
    closed = by_formula(entry.derivative, call, pred.double(), wide).expand_as(pred)
    torch.testing.assert_close(slope, closed, **close)


@pytest.mark.parametrize(
    ("text", "pred", "target", "at_kink"),
    [
        ("l1", [1.0, 2.0], [1.0, 3.0], True),
        ("l1", [1.5, 2.0], [1.0, 3.0], False),
        ("smooth_l1(beta=0)", [1.0, 2.0], [1.0, 3.0], True),
        ("smooth_l1", [1.0, 2.0], [1.0, 3.0], False),
        ("huber", [1.0, 2.0], [1.0, 3.0], False),
        ("hinge_embedding", [1.0, 3.0], [-1.0, -1.0], True),
        ("hinge_embedding", [1.0, 3.0], [1.0, -1.0], False),
        ("l2_norm", [1.0, 3.0], [1.0, 3.0], True),
        ("l2_norm", [1.0, 2.0], [1.0, 3.0], False),
        ("multi_margin", [2.0, 1.0, 0.3], 0, True),
        ("multi_margin(margin=0.5)", [2.0, 1.0, 0.3], 0, False),
        ("multi_margin(p=2)", [2.0, 1.0, 0.3], 0, False),
        ("multilabel_margin", [2.0, 1.0, 0.3], [0, -1, -1], True),
        ("multilabel_margin", [2.0, 1.0, 0.3], [0, 1, -1], False),
    ],
)
def test_loss_kinks(text: str, pred: list[float], target: Any, at_kink: bool) -> None:
    call, entry, function = binary(text)
    x, t = torch.tensor(pred, dtype=torch.float64), torch.tensor(target)
    aim = labels(t) if entry.target == "labels" else t
    found = [evaluated(place, pred=x, target=aim, **weights(call, x)) == x for place in entry.kinks]
    assert any(bool(place.any()) for place in found) is at_kink
    assert bool((bend(lambda moved: function(moved, t).sum(), x) > 1e-3).any()) is at_kink
