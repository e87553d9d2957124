"""`functions`: entries of the catalogue, with the slopes that PyTorch really picks at their
kinks.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from gradcli import core
from gradcli.catalogue.functions import Loss, Target
from gradcli.catalogue.ranges import HIGH, LOW, POINTS, PROBABILITIES, UNIT_POINTS
from gradcli.commands.functions.request import Functions, facts, families
from gradcli.commands.functions.result import FunctionsResult
from gradcli.evaluate import curves, implementations
from gradcli.evaluate.refusals import translated
from gradcli.evidence.notes import kinks, notes
from gradcli.language.calls import Call

DIGITS = 12
"""Significant digits of a slope that is measured a hair beside the kink, in float64."""

SAMPLES: dict[Target, tuple[list[float], Any]] = {
    "real": ([0.0], [0.0]),
    "probability": ([0.5], [0.5]),
    "count": ([1.0], [1.0]),
    "sign": ([0.0], [-1.0]),
    "class": ([1.0, 0.0, 0.0], 0),
    "labels": ([1.0, 0.0, 0.0], [0, -1, -1]),
}
"""A prediction and a target for each kind of target: where the kinks of a loss are depends on
them."""


def compute(request: Functions, read_stdin: Callable[[], str]) -> FunctionsResult:
    """The entry that `request` names, or all of them, the kinks measured with the arguments given.

    Raises ShapeError where PyTorch refuses the arguments.
    """
    call = request.name
    if call is None:
        return FunctionsResult(
            functions=[
                _facts(Call(each.name, each)) for members in families().values() for each in members
            ]
        )
    with translated(call.text, {}):
        return _described(call)


def _facts(call: Call) -> dict[str, Any]:
    measured = _of_loss(call) if isinstance(call.entry, Loss) else _of_activation(call)
    return {**facts(call.entry), "kinks": measured, "notes": notes.codes(call.entry.name)}


def _described(call: Call) -> FunctionsResult:
    found = _facts(call)
    if call.entry.mixes == "row":  # a curve has one number in and one out
        return FunctionsResult(functions=[found])
    x = _range(call)
    along = "pred" if isinstance(call.entry, Loss) else "x"
    return FunctionsResult(functions=[found], along=along, x=x, curve=curves.of_call(call, x))


def _range(call: Call) -> Tensor:
    """Where the curve of a function is worth looking at."""
    if call.entry.name in PROBABILITIES:
        return torch.arange(1, UNIT_POINTS + 1) / (UNIT_POINTS + 1)
    return torch.linspace(LOW, HIGH, POINTS)


def _of_activation(call: Call) -> list[dict[str, Any]]:
    """The slopes at each kink. Functions along a dimension have none."""
    assert not (call.entry.mixes and call.entry.kinks)
    function = implementations.activation(call)
    return [
        {
            "at": place,
            "place": f"{place:g}",
            "pred": None,
            "target": None,
            **_measured(call, function, torch.tensor(place, dtype=torch.float64), ()),
        }
        for place in kinks.of_activation(call.entry.name, call.bound)
    ]


def _of_loss(call: Call) -> list[dict[str, Any]]:
    """The slopes by one element of a sample prediction that is moved to each kink in turn."""
    assert isinstance(call.entry, Loss)
    pred, target = SAMPLES[call.entry.target]
    function = implementations.loss(call, "sum")
    aim = torch.tensor(
        target, dtype=torch.int64 if call.entry.target in ("class", "labels") else torch.float64
    )
    start = torch.tensor(pred, dtype=torch.float64)
    found = []
    for text, place in zip(
        call.entry.kinks, kinks.places(call.entry, call.bound, start, aim), strict=True
    ):
        candidates = (
            place.double().broadcast_to(*place.shape[:-1], len(start)).reshape(-1, len(start))[0]
        )
        at = next(
            (i for i, number in enumerate(candidates.tolist()) if math.isfinite(number)), None
        )
        if at is not None:
            point = start.clone()
            point[at] = candidates[at]
            measured = _measured(call, lambda x: function(x, aim), point, (at,))
            sample = {"pred": _plain(point.tolist()), "target": _plain(target)}
            found.append({"at": float(point[at]), "place": text, **sample, **measured})
    return found


def _plain(sample: Any) -> Any:
    """A sample, as a number where it is one."""
    return sample[0] if isinstance(sample, list) and len(sample) == 1 else sample


def _measured(
    call: Call, function: implementations.Unary, x: Tensor, at: tuple[int, ...]
) -> dict[str, float | None]:
    point = torch.zeros_like(x, dtype=torch.bool)
    point[at] = True
    try:
        slopes = kinks.slopes(function, x, point)
    except core.NoDerivativeError:
        return {"left": None, "right": None, "pytorch": None}
    left, right = (float(f"{float(slope):.{DIGITS}g}") for slope in (slopes.left, slopes.right))
    return {"left": left, "right": right, "pytorch": float(slopes.pytorch)}
