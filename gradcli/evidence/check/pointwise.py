"""`--check` of results with many points: those of `--each`, the curves of `plot`, the layers of
`flow`, each by itself.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from gradcli.evaluate.job import Job
from gradcli.evidence.check.compare import compare
from gradcli.evidence.check.probes import evenly, probe
from gradcli.results import Checked, Points, Result


def check_points(result: Result, points: Points, job: Job) -> dict[str, Checked]:
    """The slopes at the points by the name of each input, or those that the points stand for; of
    many some, chosen evenly.
    """
    by_name: dict[str, list[Checked]] = {points.name: []} if points.size else {}
    room = probe(points.at(0), job).affordable if points.total else 0
    for i in evenly(points.total, room):
        subject = points.at(i)
        looked = probe(subject, job)
        for name in subject.by:
            if (one := compare(result, subject, name, looked)) is not None:
                one = replace(one, places=[points.label(i, name, place) for place in one.places])
                key = points.name if points.size else f"{points.name}.{name}".removeprefix(".")
                by_name.setdefault(key, []).append(
                    _scaled(one, points.size(i)) if points.size else one
                )
    return {name: _joined(found, points) for name, found in by_name.items()}


def _joined(found: Sequence[Checked], points: Points) -> Checked:
    """The verdicts on several points as those on one input."""

    def all_of(name: str) -> Tensor:
        return (
            torch.cat([getattr(one, name) for one in found])
            if found
            else torch.empty(0, dtype=torch.float64)
        )

    said = list(dict.fromkeys(remark for one in found for remark in one.remarks))
    if len(found) < points.total:
        said.append(f"{len(found)} of {points.total} {points.what}, evenly spaced")
    return Checked(
        max_abs_error=max((one.max_abs_error for one in found), default=0.0),
        max_rel_error=max((one.max_rel_error for one in found), default=0.0),
        ok=all(one.ok for one in found),
        slopes=all_of("slopes"),
        closed=None if not found or any(one.closed is None for one in found) else all_of("closed"),
        difference=all_of("difference"),
        verdicts=[verdict for one in found for verdict in one.verdicts],
        places=[place for one in found for place in one.places],
        left=all_of("left"),
        right=all_of("right"),
        absolute=all_of("absolute"),
        relative=all_of("relative"),
        remarks=[*said, *points.remarks],
    )


def _scaled(one: Checked, size: float) -> Checked:
    """The verdict on a slope with the number that it stands for."""
    scaled = {
        name: getattr(one, name) * size
        for name in ("slopes", "difference", "left", "right", "absolute")
    }
    closed = None if one.closed is None else one.closed * size
    return replace(one, **scaled, closed=closed, max_abs_error=one.max_abs_error * size)
