"""`functions`: entries of the catalogue, with the slopes that PyTorch uses at their kinks."""

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
"""Significant digits of a slope that is measured next to the kink, in float64."""

SAMPLES: dict[Target, tuple[list[float], Any]] = {
    "real": ([0.0], [0.0]),
    "probability": ([0.5], [0.5]),
    "count": ([1.0], [1.0]),
    "sign": ([0.0], [-1.0]),
    "class": ([1.0, 0.0, 0.0], 0),
    "labels": ([1.0, 0.0, 0.0], [0, -1, -1]),
}
"""A prediction and a target, on which the kinks of a loss depend, for each kind of target."""


def compute(request: Functions, read_stdin: Callable[[], str]) -> FunctionsResult:
    """The entry that `request` names, its kinks measured with the arguments given; or all entries.

    Raises ShapeError if PyTorch refuses the arguments.
    """
    call = request.name
    if call is None:
        calls = [Call(entry.name, entry) for members in families().values() for entry in members]
        return FunctionsResult(functions=list(map(_facts, calls)))
    with translated(call.text, {}):
        functions = [_facts(call)]
        if call.entry.mixes == "row":  # a curve has one number in and one out
            return FunctionsResult(functions=functions)
        x, along = _range(call), "pred" if isinstance(call.entry, Loss) else "x"
        return FunctionsResult(functions=functions, along=along, x=x, curve=curves.of_call(call, x))


def _facts(call: Call) -> dict[str, Any]:
    measured = _loss_kinks(call) if isinstance(call.entry, Loss) else _activation_kinks(call)
    return {**facts(call.entry), "kinks": measured, "notes": notes.codes(call.entry.name)}


def _range(call: Call) -> Tensor:
    """The points, 1-D, of the curve of a function."""
    if call.entry.name in PROBABILITIES:
        return torch.arange(1, UNIT_POINTS + 1) / (UNIT_POINTS + 1)
    return torch.linspace(LOW, HIGH, POINTS)


def _activation_kinks(call: Call) -> list[dict[str, Any]]:
    """The slopes at each kink. Functions along a dimension have none."""
    assert not (call.entry.mixes and call.entry.kinks)
    function = implementations.activation(call)
    found = []
    for place in kinks.of_activation(call.entry.name, call.bound):
        slopes = _slopes(function, torch.tensor(place, dtype=torch.float64), ())
        found.append({"at": place, "place": f"{place:g}", "pred": None, "target": None, **slopes})
    return found


def _loss_kinks(call: Call) -> list[dict[str, Any]]:
    """The slopes by one element of a sample prediction that is moved to each kink in turn."""
    entry = call.entry
    assert isinstance(entry, Loss)
    pred, target = SAMPLES[entry.target]
    function = implementations.loss(call, "sum")
    dtype = torch.int64 if entry.target in ("class", "labels") else torch.float64
    start = torch.tensor(pred, dtype=torch.float64)
    target_tensor = torch.tensor(target, dtype=dtype)
    places = kinks.places(entry, call.bound, start, target_tensor)
    found = []
    for text, place in zip(entry.kinks, places, strict=True):
        wide = place.double().broadcast_to(*place.shape[:-1], len(start))
        row = wide.reshape(-1, len(start))[0]
        finite = row.isfinite().nonzero()
        if len(finite):
            i, point = int(finite[0]), start.clone()
            point[i] = row[i]
            slopes = _slopes(lambda x: function(x, target_tensor), point, (i,))
            sample = {"pred": _plain(point.tolist()), "target": _plain(target)}
            found.append({"at": float(point[i]), "place": text, **sample, **slopes})
    return found


def _plain(sample: Any) -> Any:
    """The number of a list of one number; else the sample itself."""
    return sample[0] if isinstance(sample, list) and len(sample) == 1 else sample


def _slopes(
    function: implementations.Unary, x: Tensor, at: tuple[int, ...]
) -> dict[str, float | None]:
    """The slopes by the element `at` of x, 0-d or 1-D: to the left, to the right, and PyTorch's."""
    point = torch.zeros_like(x, dtype=torch.bool)
    point[at] = True
    try:
        slopes = kinks.slopes(function, x, point)
    except core.NoDerivativeError:
        return {"left": None, "right": None, "pytorch": None}
    left, right = (float(f"{float(slope):.{DIGITS}g}") for slope in (slopes.left, slopes.right))
    return {"left": left, "right": right, "pytorch": float(slopes.pytorch)}
